"""One owner of a run folder at a time, on this machine and on others; stale locks are told from live ones."""

import errno
import json
import multiprocessing
import os
import signal
import socket

import pytest

from qa.errors import CheckpointError, StorageError
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


def elsewhere(folder, **machine):
    """A record of another machine, whose lock is not seen here."""
    record = {"host": "elsewhere", "process": 7, "start": "2026-01-01T00:00:00"} | machine
    (folder / OWNER).write_text(json.dumps(record))
    return folder / OWNER


@pytest.mark.parametrize(
    "machine",
    [{}, {"host": socket.gethostname()}, {"host": socket.gethostname(), "machine": "started at another time"}],
    ids=["another name", "the same name, of an earlier version", "the same name"],
)
def test_an_owner_on_another_machine_that_renews_its_record_is_live(machine, tmp_path, monkeypatch):
    """Containers of one job are often called alike."""
    record, times = elsewhere(tmp_path, **machine), iter(range(1, 100))
    monkeypatch.setattr(locking.time, "sleep", lambda _: os.utime(record, (next(times), 0)))
    with pytest.raises(CheckpointError, match=r"is in use: by process 7 on .*, started at 2026-01-01"):
        FolderLock(tmp_path).acquire()


@pytest.fixture
def flock(monkeypatch):
    """A function that lets the system's lock fail with an error number."""
    fcntl = pytest.importorskip("fcntl", reason="this system locks otherwise")

    def failing(number):
        def fail(*_):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(fcntl, "flock", fail)

    return failing


@pytest.mark.parametrize("answer", [errno.ENOLCK, errno.EOPNOTSUPP, 524])
def test_where_there_are_no_locks_the_record_alone_tells(answer, tmp_path, monkeypatch, flock):
    """NFS without its lock daemon, some FUSE; owners of this machine, too, are then known by their record only."""
    flock(answer)
    first = FolderLock(tmp_path)
    first.acquire()
    times = iter(range(1, 100))
    with monkeypatch.context() as patch:
        patch.setattr(locking.time, "sleep", lambda _: os.utime(tmp_path / OWNER, (next(times), 0)))
        with pytest.raises(CheckpointError, match=rf"is in use: by process {os.getpid()} "):
            FolderLock(tmp_path).acquire()
    first.release()
    again = FolderLock(tmp_path)
    again.acquire()
    again.release()


def test_of_two_that_start_at_once_without_locks_one_gives_way(tmp_path, monkeypatch, flock):
    flock(errno.ENOLCK)
    monkeypatch.setattr(locking.time, "sleep", lambda _: elsewhere(tmp_path))
    with pytest.raises(CheckpointError, match="is in use: by process 7 on elsewhere"):
        FolderLock(tmp_path).acquire()
    assert json.loads((tmp_path / OWNER).read_text())["process"] == 7


def test_a_lock_that_fails_is_named(tmp_path, flock):
    flock(errno.EIO)
    with pytest.raises(StorageError, match=r"cannot lock the run folder .*Input/output error"):
        FolderLock(tmp_path).acquire()


def test_an_owner_on_another_machine_that_is_silent_is_taken_over(tmp_path, caplog):
    elsewhere(tmp_path)
    lock = FolderLock(tmp_path)
    lock.acquire()
    assert "by process 7 on elsewhere" in caplog.text
    assert json.loads((tmp_path / OWNER).read_text())["process"] == os.getpid()
    lock.release()


def of_parent(folder, start):
    """A record of this machine whose process runs: this one's parent."""
    elsewhere(folder, **locking.this_machine(), process=os.getppid(), start=start)


def test_an_owner_whose_lock_was_deleted_is_live(tmp_path, monkeypatch):
    times = iter(range(1, 100))
    of_parent(tmp_path, "2999-01-01T00:00:00+00:00")
    monkeypatch.setattr(locking.time, "sleep", lambda _: os.utime(tmp_path / OWNER, (next(times), 0)))
    with pytest.raises(CheckpointError, match=rf"is in use: by process {os.getppid()} on "):
        FolderLock(tmp_path).acquire()


@pytest.mark.parametrize("start", ["2000-01-01T00:00:00+00:00", "yesterday", None])
def test_a_process_that_has_got_an_owners_number_is_none(start, tmp_path, monkeypatch):
    of_parent(tmp_path, start)
    monkeypatch.setattr(locking.time, "sleep", lambda _: pytest.fail("waits for a record that nobody renews"))
    lock = FolderLock(tmp_path)
    lock.acquire()
    lock.release()


@pytest.mark.parametrize("record", ["", "{", "[]", '{"host": 3}'])
def test_a_damaged_record_is_no_owner(record, tmp_path):
    (tmp_path / OWNER).write_text(record)
    lock = FolderLock(tmp_path)
    lock.acquire()
    lock.release()
    assert (tmp_path / LOCK).exists()
