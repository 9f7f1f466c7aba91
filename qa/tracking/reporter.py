"""One thread per tracker; a tracker that hangs cannot stop the run.

A run is worth more than its record: a service that fails or hangs is reported once and cannot stop or slow the run.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import Full, Queue
from threading import Thread
from typing import Any, Protocol, runtime_checkable

log = logging.getLogger(__name__)

MOST_PENDING = 10_000  # calls; bounded, so that an unresponsive service cannot exhaust memory
FINISH_SECONDS = 120.0  # for what a service has still to send at the end
FILES_SECONDS = 1800.0  # the same where a model is among it
HURRIED_SECONDS = 20.0  # the same after a stop or an error: launchers give a process 30 seconds and then kill


@dataclass(frozen=True)
class Outcome:
    """How a run ends."""

    status: int = 0
    """Exit status; not 0: it failed or was stopped."""
    preempted: bool = False
    """Whether it was asked to end before its end, and can be resumed."""

    @property
    def is_hurried(self) -> bool:
        """Whether something waits for the process to end."""
        return self.preempted or self.status != 0


@runtime_checkable
class Tracker(Protocol):
    """A service that records a run. Its methods may take as long as they like, and raise what they like."""

    name: str
    """As in `tracking.report-to`."""
    address: str | None
    """Where the run can be looked at; None for a service that has no such place."""
    upload_command: str | None
    """How to send a run that was recorded offline; None where there is nothing to send."""

    def log(self, values: Mapping[str, Any], step: int) -> None:
        """Record named numbers at an optimizer step."""

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: int) -> None:
        """Record a table at an optimizer step; a service without tables does nothing."""

    def summary(self, values: Mapping[str, Any]) -> None:
        """Record numbers of the whole run; a service without a summary does nothing."""

    def model(self, folder: Path, data: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Keep a model's folder, with facts of it and of its data by split; a service without files does nothing."""

    def finish(self, outcome: Outcome) -> None:
        """Send what is left, and end the record; a service that knows how a run ends is told."""


class Reporter:
    """Passes what a run reports to one tracker, in order and without waiting for it."""

    def __init__(self, tracker: Tracker) -> None:
        """Start the thread; it does not keep a run that ends from ending."""
        self.tracker = tracker
        self._calls: Queue[Callable[[], object] | None] = Queue(MOST_PENDING)
        self._complained = self._has_files = False
        self._thread = Thread(target=self._work, name=f"tracker {tracker.name}", daemon=True)
        self._thread.start()

    def log(self, values: Mapping[str, Any], step: int) -> None:
        """See `Tracker.log`."""
        self._submit(partial(self.tracker.log, values, step))

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: int) -> None:
        """See `Tracker.table`."""
        self._submit(partial(self.tracker.table, name, columns, rows, step))

    def summary(self, values: Mapping[str, Any]) -> None:
        """See `Tracker.summary`."""
        self._submit(partial(self.tracker.summary, values))

    def model(self, folder: Path, data: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """See `Tracker.model`."""
        self._has_files = True
        self._submit(partial(self.tracker.model, folder, data, facts))

    def finish(self, outcome: Outcome) -> None:
        """Close the tracker after all that was reported, but do not wait for a service that hangs."""
        patience = FILES_SECONDS if self._has_files else FINISH_SECONDS
        seconds = HURRIED_SECONDS if outcome.is_hurried else patience
        self._submit(partial(self.tracker.finish, outcome))
        self._submit(None)
        self._thread.join(seconds)
        if self._thread.is_alive():
            self._complain(f"did not finish within {seconds:.0f} s")

    def _submit(self, call: Callable[[], object] | None) -> None:
        """Do `call` after what was submitted before; None ends the thread."""
        try:
            self._calls.put_nowait(call)
        except Full:
            self._complain("does not answer")

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                call()
            except Exception as error:  # noqa: BLE001  # whatever a service's client raises
                self._complain(f"failed: {error}")

    def _complain(self, problem: str) -> None:
        if not self._complained:
            self._complained = True
            log.warning("tracker %s %s; the run goes on, its record may have gaps", self.tracker.name, problem)
