"""What the processes of a run tell each other beside all collectives: that one has failed, and when all have come.

A process that fails leaves the others waiting in a collective, under NCCL until its timeout. So each has a thread that
asks the store of the process group (torch's, which their launcher set up) twice a second whether one has ended, and
ends its process with that one's message. Process 0, which holds the store, also ends the run when one is not heard of.
"""

import contextlib
import itertools
import json
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

import torch
from torch.distributed import DistError
from torch.distributed.distributed_c10d import PrefixStore, _get_default_store

log = logging.getLogger(__name__)

ASK_SECONDS = 0.5
SILENT_SECONDS = 60.0
"""Seconds without a sign of life after which a process counts as dead."""
_GRACE_SECONDS = 2.0  # for a process whose own error has come, or is about to
_FAREWELL_SECONDS = 8.0  # that process 0 keeps the store for the others to learn why it ends
_LOST = "the connection to process 0 is lost: it has ended"


@dataclass(frozen=True, kw_only=True)
class Ending:
    """Why a process has ended before its end."""

    process: int
    host: str
    status: int
    text: str


class Peers:
    """The processes of a run, as one of them hears of them."""

    def __init__(self, store: Any, *, process: int, processes: int) -> None:  # noqa: ANN401
        """Take a store that all processes share (torch's, which has no types); start to watch."""
        self.process, self.processes = process, processes
        self.last_words: list[Callable[[int], object]] = []
        """Called with the exit status before this process is ended for another's sake."""
        self._store, self._watched = store.clone(), store.clone()  # a call that waits blocks its connection
        self._meetings = 0
        self._has_ended = threading.Event()
        threading.Thread(target=self._watch, name="peers", daemon=True).start()

    def meet(self) -> None:
        """Wait, however long it takes, until all processes have come here. Collective."""
        self._meetings += 1
        here, go = f"qa/meeting/{self._meetings}", f"qa/meeting/{self._meetings}/go"
        if self._store.add(here, 1) == self.processes:
            self._store.set(go, "go")
            return
        while True:
            with contextlib.suppress(DistError):
                self._store.wait([go], timedelta(minutes=1))
                return
            if self._has_ended.is_set():
                return

    def announce(self, status: int, text: str) -> Ending:
        """Tell all processes that this one ends; return what was told first, by this process or another."""
        own = Ending(process=self.process, host=socket.gethostname(), status=status, text=text)
        self._has_ended.set()
        try:
            told = _in_time(lambda: self._store.compare_set("qa/ending", "", json.dumps(asdict(own))))
            return Ending(**json.loads(told))
        except (DistError, RuntimeError, TimeoutError):  # the one that holds the store has gone, or the network
            return own

    def leave(self, *, failed: bool) -> None:
        """Stop to watch; where the run has failed, process 0 waits for the others to learn of it."""
        self._has_ended.set()
        with contextlib.suppress(DistError, RuntimeError, TimeoutError):
            left = _in_time(lambda: self._store.add("qa/left", 1))
            ends = time.monotonic() + _FAREWELL_SECONDS
            while failed and self.process == 0 and left < self.processes and time.monotonic() < ends:
                time.sleep(0.05)
                left = self._store.add("qa/left", 0)

    def _watch(self) -> None:
        heard = dict.fromkeys(range(1, self.processes), (b"", time.monotonic()))
        try:
            while not self._has_ended.wait(ASK_SECONDS):
                self._watched.set(f"qa/alive/{self.process}", str(time.monotonic()))
                if self._watched.check(["qa/ending"]):
                    self._end(Ending(**json.loads(self._watched.get("qa/ending"))))
                elif self.process == 0 and (silent := self._silent(heard)):
                    text = f"error: process {silent[0]} has not been heard of for {SILENT_SECONDS:.0f} s"
                    told = self._watched.compare_set(
                        "qa/ending", "", json.dumps(asdict(Ending(process=silent[0], host="", status=1, text=text)))
                    )
                    self._end(Ending(**json.loads(told)))
        except (DistError, RuntimeError):
            self._end(Ending(process=0, host="", status=1, text=f"error: {_LOST}"))

    def _silent(self, heard: dict[int, tuple[bytes, float]]) -> list[int]:
        """Return the processes without a new sign of life; `heard` has the last one of each, and when it came."""
        now = time.monotonic()
        for process, (sign, _) in heard.items():
            key = f"qa/alive/{process}"
            new = self._watched.get(key) if self._watched.check([key]) else b""
            if new != sign:
                heard[process] = new, now
        return [process for process, (_, at) in heard.items() if now - at > SILENT_SECONDS]

    def _end(self, ending: Ending) -> None:
        """End this process, whose main thread may wait for one that is gone; its own error may come first."""
        if self._has_ended.wait(_GRACE_SECONDS):
            return
        for say in self.last_words:
            say(ending.status)
        log.error("ended with process %d: %s", ending.process, ending.text.strip().splitlines()[-1])
        with contextlib.suppress(DistError, RuntimeError):
            self._watched.add("qa/left", 1)
        exit_at_once(ending.status)


def _in_time(ask: Callable[[], Any]) -> Any:  # noqa: ANN401  # what the store answers
    """Ask the store, whose client waits without a limit where the network drops what is sent.

    Raises:
        TimeoutError: there is no answer.

    """
    return ThreadPoolExecutor(1, thread_name_prefix="store").submit(ask).result(_FAREWELL_SECONDS)


_found: list[Peers] = []
_runs = itertools.count()


def find_peers() -> None:
    """Begin to hear of the other processes of the process group, once it is there. Collective.

    What was said in an earlier run is not to be heard: torchrun's store outlives the processes that it starts again,
    and processes of a notebook or script may do one run after the other.
    """
    _found.clear()
    group = torch.distributed.group.WORLD
    if group is not None and group.size() > 1:
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        store = PrefixStore(f"attempt-{attempt}-run-{next(_runs)}", _get_default_store())
        _found.append(Peers(store, process=group.rank(), processes=group.size()))


def peers() -> Peers | None:
    """Return the other processes; None for a process that is alone."""
    return _found[0] if _found else None


def exit_at_once(status: int) -> None:
    """End the process without calling destructors."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
