"""One owner of a run folder at a time, on this machine and on others; stale locks are told from live ones."""

import json
import multiprocessing
import os
import signal

import pytest

from qa.errors import CheckpointError
from qa.run_folder import lock as locking
from qa.run_folder.lock import LOCK, OWNER, FolderLock


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr(locking, "WATCH_SECONDS", 0.5)


def own(folder, owned, release):
    lock = FolderLock(folder)
    lock.acquire()
    owned.set()
    release.wait()
    lock.release()


@pytest.fixture
def owner(tmp_path):
    """Another process that owns the folder."""
    context = multiprocessing.get_context("spawn")
    owned, release = context.Event(), context.Event()
    process = context.Process(target=own, args=(tmp_path, owned, release))
    process.start()
    assert owned.wait(60)
    yield process, release
    process.kill()
    process.join()


@pytest.mark.processes
def test_a_folder_that_is_in_use_is_refused_with_its_owner(owner, tmp_path):
    process, release = owner
    with pytest.raises(CheckpointError, match=rf"is in use: by process {process.pid} on .*, started at 2"):
        FolderLock(tmp_path).acquire()
    release.set()
    process.join()
    lock = FolderLock(tmp_path)
    lock.acquire()
    lock.release()


@pytest.mark.processes
def test_the_lock_of_a_killed_process_is_none(owner, tmp_path):
    process, _ = owner
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert (tmp_path / OWNER).exists()
    lock = FolderLock(tmp_path)
    lock.acquire()
    assert json.loads((tmp_path / OWNER).read_text())["process"] == os.getpid()
    lock.release()
    assert not (tmp_path / OWNER).exists()


def elsewhere(folder):
    """A record of another machine, whose lock is not seen here."""
    (folder / OWNER).write_text(json.dumps({"host": "elsewhere", "process": 7, "start": "2026-01-01T00:00:00"}))
    return folder / OWNER


def test_an_owner_on_another_machine_that_renews_its_record_is_live(tmp_path, monkeypatch):
    record, times = elsewhere(tmp_path), iter(range(1, 100))
    monkeypatch.setattr(locking.time, "sleep", lambda _: os.utime(record, (next(times), 0)))
    with pytest.raises(CheckpointError, match=r"is in use: by process 7 on elsewhere, started at 2026-01-01"):
        FolderLock(tmp_path).acquire()


def test_an_owner_on_another_machine_that_is_silent_is_taken_over(tmp_path, caplog):
    elsewhere(tmp_path)
    lock = FolderLock(tmp_path)
    lock.acquire()
    assert "by process 7 on elsewhere" in caplog.text
    assert json.loads((tmp_path / OWNER).read_text())["process"] == os.getpid()
    lock.release()


@pytest.mark.parametrize("record", ["", "{", "[]", '{"host": 3}'])
def test_a_damaged_record_is_no_owner(record, tmp_path):
    (tmp_path / OWNER).write_text(record)
    lock = FolderLock(tmp_path)
    lock.acquire()
    lock.release()
    assert (tmp_path / LOCK).exists()
