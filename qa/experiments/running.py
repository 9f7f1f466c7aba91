"""Runs in processes of their own, one after the other or some at once; all end when the sweep is stopped."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from qa.errors import SweepError

STOPPED = None
"""Exit status of what was not started, or stopped on the way."""
_GROUPS = sys.platform != "win32"
_PATIENCE = 120.0  # seconds for a run to save after the signal
_LOOK = 0.1


@dataclass(frozen=True, kw_only=True)
class Job:
    """A command, and where its output goes."""

    name: str
    words: Sequence[str]
    log: Path
    group: str
    """What W&B groups it under, unless WANDB_RUN_GROUP says something else."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a job ended."""

    job: Job
    status: int | None
    """Exit status; None for one that was stopped with the sweep."""
    seconds: float


class Runner:
    """Runs jobs; entered, it ends them at SIGTERM, SIGINT, or the SIGHUP of a terminal that closes, unless ignored."""

    def __init__(self, at_once: int) -> None:
        """Start nothing yet."""
        self._at_once = at_once
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()
        self._stopped_by = 0
        self._earlier: dict[int, object] = {}

    def __enter__(self) -> "Runner":  # noqa: PYI034  # the tests' type checker does not know Self in methods
        numbers = [signal.SIGTERM, signal.SIGINT]
        if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            numbers.append(signal.SIGHUP)
        self._earlier = {number: signal.signal(number, self._stop) for number in numbers}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._earlier.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal returned

    @property
    def stopped_by(self) -> int:
        """The signal that stopped the sweep; 0: none."""
        return self._stopped_by

    def run(self, jobs: Sequence[Job], began: Callable[[Job], None]) -> Iterator[Ended]:
        """Yield jobs as they end; what is not started when the sweep is stopped has no status.

        Raises:
            SweepError: a command that cannot be started.

        """
        with ThreadPoolExecutor(self._at_once) as pool:
            waiting = {pool.submit(self._run, job, began) for job in jobs}
            try:
                while waiting:
                    done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    for one in done:
                        yield one.result()
            except BaseException:
                self._stop(signal.SIGTERM)
                raise

    def _run(self, job: Job, began: Callable[[Job], None]) -> Ended:
        start = time.monotonic()
        process = self._start(job, began)
        if process is None:
            return Ended(job=job, status=STOPPED, seconds=0.0)
        status: int | None = process.wait()
        if self._stopped_by:
            self._wait_for_group(process)
            status = STOPPED if status else status  # one that ended well in spite of the signal has ended
        with self._lock:
            del self._running[job.name]
        return Ended(job=job, status=status, seconds=time.monotonic() - start)

    def _start(self, job: Job, began: Callable[[Job], None]) -> subprocess.Popen[bytes] | None:
        with self._lock:
            if self._stopped_by:
                return None
            began(job)
            try:
                with job.log.open("ab") as log:
                    process = subprocess.Popen(  # noqa: S603  # the user's own command
                        job.words,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        env={"WANDB_RUN_GROUP": job.group, **os.environ},
                        start_new_session=_GROUPS,  # so that a signal reaches what a launcher started
                    )
            except OSError as error:
                raise SweepError(f"cannot start {job.words[0]!r}: {error.strerror}") from error
            self._running[job.name] = process
        if self._stopped_by:  # while it started
            _signal(process, signal.SIGTERM)
        return process

    def _stop(self, number: int, _frame: object = None) -> None:
        """Start nothing more, and ask what runs to save and end; a second time, end it at once."""
        again, self._stopped_by = bool(self._stopped_by), self._stopped_by or number
        for process in list(self._running.values()):
            _signal(process, signal.SIGKILL if again and _GROUPS else signal.SIGTERM)

    def _wait_for_group(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for what a launcher started, which may still be saving when the launcher has ended."""
        ends = time.monotonic() + _PATIENCE
        with contextlib.suppress(ProcessLookupError, PermissionError):
            while _GROUPS and time.monotonic() < ends:
                os.killpg(process.pid, 0)
                time.sleep(_LOOK)


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if _GROUPS:
            os.killpg(process.pid, number)
        else:
            process.terminate()
