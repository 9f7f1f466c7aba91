"""How long a process works for itself, between what it does together with others."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType

_GATHERING = (DistributedType.FSDP, DistributedType.DEEPSPEED, DistributedType.MEGATRON_LM)


class OwnTime:
    """Adds up the seconds in which no other process can delay this one; on a GPU they are the device's.

    Of a slow process all others wait for the gradients, so that only these seconds tell which one it is. Where every
    pass gathers weights from all processes there are none.
    """

    def __init__(self, accelerator: Accelerator) -> None:
        """Begin with none."""
        self._gathers = accelerator.distributed_type in _GATHERING
        self._on_gpu = accelerator.device.type == "cuda"
        self._begun: deque[tuple[torch.cuda.Event, torch.cuda.Event]] = deque()
        self._seconds = 0.0

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Count what is done inside."""
        if not self._on_gpu:
            began = time.perf_counter()
            yield
            self.add(time.perf_counter() - began)
            return
        first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        first.record()
        yield
        last.record()
        self._begun.append((first, last))

    def add(self, seconds: float) -> None:
        """Count seconds that were measured elsewhere."""
        if not self._gathers:
            self._seconds += seconds

    def take(self) -> float:
        """Return the seconds counted, and begin anew; what a GPU has not done yet is counted the next time."""
        while self._begun and self._begun[0][1].query():  # type: ignore[no-untyped-call]
            first, last = self._begun.popleft()
            self.add(first.elapsed_time(last) / 1000)
        seconds, self._seconds = self._seconds, 0.0
        return seconds
