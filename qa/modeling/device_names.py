"""What devices and precisions are called. Without PyTorch."""

import re
from typing import TYPE_CHECKING, Any, TypeAlias

from qa.errors import ConfigError

if TYPE_CHECKING:
    import torch

    Device: TypeAlias = str | int | torch.device | None
    Precision: TypeAlias = str | torch.dtype | None
else:
    Device = Precision = Any

_PRECISIONS = ("float32", "bfloat16", "float16", "float64")


def names_cpu(name: Device) -> bool:
    """Return whether a name is the CPU's."""
    return re.fullmatch(r"cpu(:\d+)?", str(name)) is not None


def precision_name(name: Precision) -> str:
    """Return what PyTorch calls the precision of that name; None: float32.

    Raises:
        ConfigError: no name of a floating-point type that models compute in.

    """
    found = "float32" if name is None else str(name).removeprefix("torch.")
    if found not in _PRECISIONS:
        raise ConfigError(f"dtype is {name!r}; wanted one of {', '.join(_PRECISIONS)}")
    return found
