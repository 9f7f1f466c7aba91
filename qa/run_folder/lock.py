"""One owner of a run folder at a time.

A lock of the operating system tells, which ends with its process: nothing stale can be left. Where machines share a
folder but not their locks, a record beside it tells instead: its owner renews it every few seconds, so that one that
stays as it is was left behind. The same where a file system has no locks, as NFS without its lock daemon, and where
somebody has deleted the lock of a process that runs.
"""

import contextlib
import json
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from qa.errors import CheckpointError, StorageError
from qa.files import NO_LOCKS, write_json

log = logging.getLogger(__name__)

LOCK, OWNER = ".lock", ".owner.json"
RENEW_SECONDS = 5.0
WATCH_SECONDS = 15.0
"""Seconds without renewal after which the record of another machine's process is stale."""
_LOOK_SECONDS, _SETTLE_SECONDS = 0.2, 1.0
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class FolderLock:
    """The right to write into a run folder."""

    def __init__(self, folder: Path) -> None:
        """Take nothing yet."""
        self._owner = folder / OWNER
        self._lock = FileLock(folder / LOCK, timeout=0, thread_local=False)
        self._has_ended = threading.Event()

    def acquire(self) -> None:
        """Own the folder until `release`, or until this process ends.

        Raises:
            CheckpointError: another process owns it; the message says which.
            StorageError: the folder cannot be written.

        """
        has_lock = self._take_lock()
        try:
            self._require_silence(seen_by_lock=has_lock)
            start = datetime.now(UTC).isoformat(timespec="seconds")
            own = {**this_machine(), "process": os.getpid(), "start": start}
            write_json(self._owner, own)
            if not has_lock:
                self._require_kept(own)
        except BaseException:
            self._lock.release(force=True)
            raise
        threading.Thread(target=self._renew, name="folder lock", daemon=True).start()

    def release(self) -> None:
        """Let others own the folder."""
        self._has_ended.set()
        self._owner.unlink(missing_ok=True)
        self._lock.release(force=True)

    def _take_lock(self) -> bool:
        """Take the lock of the operating system; return False where the file system has none."""
        try:
            self._lock.acquire()
        except Timeout as error:
            raise CheckpointError(f"{self._owner.parent} is in use: {self._described()}") from error
        except OSError as error:
            if error.errno in NO_LOCKS:
                return False
            raise StorageError(f"cannot lock the run folder {self._owner.parent}: {error.strerror}") from error
        return True

    def _require_silence(self, *, seen_by_lock: bool) -> None:
        """Wait whether an owner whose lock cannot be seen, as perhaps on another machine, renews its record."""
        owner = self._read()
        if owner is None or (seen_by_lock and owner | this_machine() == owner and not _lives(owner)):
            return
        first, ends = self._renewed_at(), time.monotonic() + WATCH_SECONDS
        while time.monotonic() < ends:
            time.sleep(_LOOK_SECONDS)
            if self._renewed_at() != first:
                raise CheckpointError(f"{self._owner.parent} is in use: {self._described()}")
        log.warning("took over %s: %s, and has not been heard of since", self._owner.parent, self._described())

    def _require_kept(self, own: dict[str, Any]) -> None:
        """Look whether another process, which started at the same moment, has written its record over this one's."""
        time.sleep(_SETTLE_SECONDS)
        if self._read() != own:
            raise CheckpointError(f"{self._owner.parent} is in use: {self._described()}")

    def _renew(self) -> None:
        while not self._has_ended.wait(RENEW_SECONDS):
            with contextlib.suppress(OSError):
                os.utime(self._owner)

    def _renewed_at(self) -> int:
        try:
            return self._owner.stat().st_mtime_ns
        except FileNotFoundError:  # it has just ended
            return 0

    def _read(self) -> dict[str, Any] | None:
        """Return the record; None where there is none, or a damaged one."""
        try:
            found = json.loads(self._owner.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) and isinstance(found.get("host"), str) else None

    def _described(self) -> str:
        owner = self._read()
        if owner is None:
            return "by a process that has just started or ended"
        return f"by process {owner.get('process')} on {owner.get('host')}, started at {owner.get('start')}"


def _lives(owner: Mapping[str, Any]) -> bool:
    """Return whether the process of a record of this machine runs, though its lock has gone: whoever deleted the file.

    Another process that has got its number began after the record.
    """
    if owner.get("process") == os.getpid():  # a container that was started again gives the same numbers
        return False
    try:
        began: float = psutil.Process(owner["process"]).create_time()
        return began < datetime.fromisoformat(owner["start"]).timestamp() + 1  # records have whole seconds
    except (psutil.Error, KeyError, TypeError, ValueError):
        return False


def this_machine() -> dict[str, str]:
    """Tell this machine from others, and from those of the same name: containers of one job are often called alike."""
    try:
        machine = _BOOT.read_text(encoding="utf-8").strip()
    except OSError:  # not Linux
        machine = str(uuid.getnode())
    return {"host": socket.gethostname(), "machine": machine}
