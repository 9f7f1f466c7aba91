"""Signals, time limit, save timer: all processes end, or save, at the same step."""

import contextlib
import logging
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from types import FrameType, TracebackType
from typing import Any, TypeVar

import torch
from accelerate import Accelerator

from qa.errors import StoppedError

log = logging.getLogger(__name__)
Item = TypeVar("Item")

_NAMES = ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGBREAK")
"""A terminal that closes sends SIGHUP, batch systems SIGUSR1 or SIGUSR2. Windows has the first two and the last."""
_KEPT_IGNORED = ("SIGHUP",)  # by nohup
_TIME_IS_UP = -1.0


class StopRequest:
    """Takes note of signals that ask for an end while it is entered, and of the time that the run has.

    Outside of `waiting` a signal ends this process at once: nothing is trained yet that could be lost, or all of it is
    saved. Inside, the processes find out together, in `check`; only what one process does alone and can be done again,
    as scoring, is ended at once (`interruptible`). A second SIGINT always ends the process at once. A SIGHUP that was
    ignored, as under nohup, stays so. In a thread, where Python takes note of no signal, only the time counts.
    """

    def __init__(self, max_minutes: float | None = None) -> None:
        """Start the clock."""
        self._ends_at = time.monotonic() + max_minutes * 60 if max_minutes is not None else None
        self._received = 0
        self._accelerator: Accelerator | None = None
        self._may_be_interrupted = False
        self._earlier: dict[int, Any] = {}

    def __enter__(self) -> "StopRequest":  # noqa: PYI034  # the tests' type checker does not know Self in methods
        self._earlier = {number: signal.signal(number, self._note) for number in _noted()}
        _entered.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _entered.remove(self)
        for number, handler in self._earlier.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def waiting(self, accelerator: Accelerator) -> Iterator[None]:
        """Inside, only take note of signals, so that `check` can stop all processes of `accelerator` together."""
        self._accelerator = accelerator
        try:
            self._raise_received()
            yield
        finally:
            self._accelerator = None

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Inside, a signal raises StoppedError at once, also if it came before."""
        self._may_be_interrupted = True
        try:
            self._raise_received()
            yield
        finally:
            self._may_be_interrupted = False

    def _raise_received(self) -> None:
        if self._received:
            raise _stopped(self._received)

    def check(self) -> None:
        """Stop all processes if any of them was asked to. Collective.

        Raises:
            StoppedError: on all processes, with the same reason.

        """
        assert self._accelerator is not None, "called inside of `waiting`"
        is_late = self._ends_at is not None and time.monotonic() >= self._ends_at
        own = [self._received, _TIME_IS_UP if is_late else 0.0]
        found = [own]
        if self._accelerator.num_processes > 1:  # one alone need not wait for its device
            found = self._accelerator.gather(torch.tensor([own], device=self._accelerator.device)).tolist()
        if any(map(any, found)):
            raise _stopped(int(max(received for received, _ in found)))

    def checked(self, items: Iterable[Item]) -> Iterator[Item]:
        """Pass items on, of which every process has the same number, and check before each. Collective."""
        for item in items:
            self.check()
            yield item

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002  # what a handler is called with
        self._received = self._received or number
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # the system then ends a process that hangs, too
        if self._accelerator is None or self._may_be_interrupted:
            raise _stopped(number)


def _noted() -> list[signal.Signals]:
    """Return the signals that this system has and that nobody told this process to ignore; none in a thread."""
    if threading.current_thread() is not threading.main_thread():
        return []
    found = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
    return [one for one in found if one.name not in _KEPT_IGNORED or signal.getsignal(one) != signal.SIG_IGN]


_entered: list[StopRequest] = []
"""Signals are the process's, and so is what takes note of them."""


def interruptible() -> contextlib.AbstractContextManager[None]:
    """Let a signal end what this process does alone inside, where a `StopRequest` is entered."""
    return _entered[-1].interruptible() if _entered else contextlib.nullcontext()


def _stopped(number: int) -> StoppedError:
    """Return the error for a signal, or for the time being up (0)."""
    if number:
        return StoppedError(f"stopped by {signal.Signals(number).name}", status=128 + number)
    return StoppedError("stopped: training.max-minutes are over", status=0)


class SaveTimer:
    """Says when to save, by the main process's clock."""

    def __init__(self, minutes: float | None) -> None:
        """Start the clock; without `minutes` nothing is ever due."""
        self._minutes = minutes
        self._began = time.monotonic()

    def is_due(self, accelerator: Accelerator) -> bool:
        """Return whether the time has passed since the start or the last time it was due. Collective."""
        if self._minutes is None:
            return False
        passed = time.monotonic() - self._began >= self._minutes * 60
        own = torch.tensor([int(passed and accelerator.is_main_process)], device=accelerator.device)
        due = bool(accelerator.gather(own).any())
        if due:
            self._began = time.monotonic()
        return due
