"""Numbers that a device has computed, on their way to the host."""

import torch
from torch import Tensor


class HostCopy:
    """A copy of a small tensor that the host does not wait for until it reads it.

    Reading waits for the copy and what came before it, not for what the device has been given to do since.
    """

    def __init__(self, values: Tensor) -> None:
        """Begin to copy; only from CUDA devices can that be left to go on by itself."""
        self._copied: torch.cuda.Event | None = None
        if values.device.type != "cuda":
            self._values = values
            return
        self._values = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
        self._values.copy_(values, non_blocking=True)
        self._copied = torch.cuda.Event()  # type: ignore[no-untyped-call]  # the library has no types here
        self._copied.record()

    @property
    def is_here(self) -> bool:
        """Whether it was on the host to begin with."""
        return self._copied is None

    def read(self) -> list[float]:
        """Return the numbers."""
        if self._copied is not None:
            self._copied.synchronize()
        numbers: list[float] = self._values.tolist()
        return numbers
