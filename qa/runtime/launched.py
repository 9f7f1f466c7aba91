"""The processes that `accelerate launch` started for one command: each does its part, the first one writes."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from qa.errors import QAError

Value = TypeVar("Value")
_EXCHANGE = timedelta(hours=12)  # that one process waits for another, whose texts are longer


@dataclass(frozen=True, kw_only=True)
class Processes:
    """All processes of a command, as one of them sees them."""

    index: int = 0
    count: int = 1
    device: str | None = None
    """Where this one computes; None: as the command says."""

    @property
    def is_main(self) -> bool:
        """Whether this is the one that writes."""
        return self.index == 0

    def gathered(self, value: Value) -> list[Value]:
        """Return what each process has, in their order, on all. Collective."""
        if self.count == 1:
            return [value]
        from accelerate.utils import gather_object  # noqa: PLC0415  # seconds, and an extra

        return gather_object([value])  # type: ignore[no-any-return]

    def from_main(self, function: Callable[[], Value]) -> Value:
        """Run `function` on the main process; return its result, or raise its error, on all. Collective."""
        found: Value | None = None
        error: QAError | None = None
        if self.is_main:
            try:
                found = function()
            except QAError as caught:
                error = caught
        (result, failure), *_ = self.gathered((found, error))
        if failure is not None:
            raise failure
        return result  # type: ignore[return-value]  # there, since there was no error


def run_in_processes(work: Callable[[Processes], None]) -> int:
    """Do a command's work in each of the processes that a launcher started, or in this one; return the exit status.

    Raises:
        QAError: what the work raises, in a single process; several tell one another, and say it once.

    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        work(Processes())
        return 0
    from qa.runtime.accelerator import make_accelerator  # noqa: PLC0415  # seconds, and an extra
    from qa.runtime.ending import exit_status  # noqa: PLC0415

    def launched() -> None:
        accelerator = make_accelerator(trackers=(), folder=Path(), timeout=_EXCHANGE)
        device = None if accelerator.device.type == "cpu" else str(accelerator.device)
        work(Processes(index=accelerator.process_index, count=accelerator.num_processes, device=device))

    return exit_status(launched)


def end_of_processes(status: int) -> None:
    """End one of several processes as `end_process` does; return in a single one."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        from qa.runtime.ending import end_process  # noqa: PLC0415  # seconds

        end_process(status)
