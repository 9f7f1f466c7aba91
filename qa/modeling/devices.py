"""Names -> device, precision."""

from typing import cast

import numpy as np
import torch

from qa.errors import ConfigError
from qa.modeling.device_names import Device, Precision, precision_name


def find_device(name: Device) -> torch.device:
    """Return the device of that name or number; None: the accelerator if there is one, else the CPU.

    Raises:
        ConfigError: no name of a device, or one that this machine does not have.

    """
    if name is None:
        found = torch.accelerator.current_accelerator(check_available=True)
        return found if found is not None else torch.device("cpu")
    device = _named(name)
    if device is None or not _is_there(device):
        raise ConfigError(f"device is {name!r}; this machine has {', '.join(map(str, known_devices()))}")
    return device


def known_devices() -> list[torch.device]:
    """Return the devices of this machine that can compute."""
    kind = torch.accelerator.current_accelerator(check_available=True)
    numbers = range(torch.accelerator.device_count()) if kind is not None else range(0)
    return [torch.device("cpu"), *(torch.device(kind.type, number) for number in numbers if kind is not None)]


def _named(name: str | int | torch.device) -> torch.device | None:
    try:
        if isinstance(name, int | np.integer) and not isinstance(name, bool):
            return known_devices()[1:][int(name)] if name >= 0 else None  # a number counts accelerators
        return torch.device(cast("str | torch.device", name))
    except (RuntimeError, TypeError, IndexError):  # what torch raises for words that name nothing, and for other types
        return None


def _is_there(device: torch.device) -> bool:
    """Return whether the device computes; a build may know devices that no machine of its kind has."""
    same_kind = [known for known in known_devices() if known.type == device.type]
    return bool(same_kind) and (device.type == "cpu" or device.index is None or device in same_kind)


def find_precision(name: Precision) -> torch.dtype:
    """Return the precision of that name; None: float32.

    Raises:
        ConfigError: no name of a floating-point type that models compute in.

    """
    return cast("torch.dtype", getattr(torch, precision_name(name)))
