"""Names -> device, precision."""

import torch

from qa.errors import ConfigError


def find_device(name: str | int | torch.device | None) -> torch.device:
    """Return the device of that name; None: the accelerator if there is one, else the CPU.

    Raises:
        ConfigError: no name of a device.

    """
    if name is None:
        found = torch.accelerator.current_accelerator(check_available=True)
        return found if found is not None else torch.device("cpu")
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device is {name!r}; wanted one of torch's, such as cpu or cuda:0") from error


def find_precision(name: str | torch.dtype | None) -> torch.dtype:
    """Return the precision of that name; None: float32.

    Raises:
        ConfigError: no name of a floating-point type.

    """
    found = getattr(torch, name, None) if isinstance(name, str) else name or torch.float32
    if not isinstance(found, torch.dtype) or not found.is_floating_point:
        raise ConfigError(f"dtype is {name!r}; wanted float32, bfloat16 or float16")
    return found
