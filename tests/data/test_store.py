"""A cache that is damaged, full, read-only or not one at all: built anew, or a message; never trained on."""

import errno
import multiprocessing
import os
import shutil
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from qa import files
from qa.data import store
from qa.data.store import entries, prune, stored, stored_in_shards
from qa.errors import StorageError
from qa.files import MANIFEST
from tests.support.damage import flip, truncate

KEY = "0123456789abcdef" * 2


@pytest.fixture
def builds():
    return []


@pytest.fixture
def build(builds):
    def write(folder):
        builds.append(folder)
        (folder / "rows.arrow").write_bytes(b"the features of these examples" * 100)
        (folder / "layout.json").write_text("{}")

    return write


@pytest.mark.parametrize("damage", [truncate, flip, os.unlink])
@pytest.mark.parametrize("file", ["rows.arrow", "layout.json", MANIFEST])
def test_a_damaged_entry_is_built_again_with_a_warning(file, damage, tmp_path, build, builds, caplog):
    folder = stored(tmp_path, KEY, build)
    damage(folder / file)
    assert stored(tmp_path, KEY, build) == folder
    assert len(builds) == 2
    assert caplog.text.count("a damaged entry of the cache is built again") >= 1
    assert file in caplog.text
    stored(tmp_path, KEY, build)
    assert len(builds) == 2


def test_a_file_in_the_place_of_an_entry_is_replaced(tmp_path, build, builds):
    (tmp_path / KEY).write_text("what is this?")
    assert (stored(tmp_path, KEY, build) / "rows.arrow").is_file()
    assert len(builds) == 1


def test_a_file_in_the_place_of_the_cache_is_named(tmp_path, build):
    (tmp_path / "cache").write_text("")
    with pytest.raises(StorageError, match=r"cannot write the cache .*cache: (File exists|Not a directory)"):
        stored(tmp_path / "cache", KEY, build)


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path):
    def full(folder):
        (folder / "rows.arrow").write_bytes(b"a part")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StorageError, match=r"cannot write the cache .*: No space left on device"):
        stored(tmp_path, KEY, full)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOLCK])
def test_a_cache_that_cannot_be_written_is_read_and_what_it_lacks_built_elsewhere(
    number, tmp_path, build, builds, monkeypatch, caplog
):
    """Another user's, or a read-only image's; root may write everywhere, so the refusal is injected."""
    stored(tmp_path, KEY, build)
    lock = store.FileLock

    def refused(path):
        if str(path).startswith(str(tmp_path)):
            raise OSError(number, os.strerror(number))
        return lock(path)

    monkeypatch.setattr(store, "FileLock", refused)
    assert stored(tmp_path, KEY, build) == tmp_path / KEY
    assert len(builds) == 1
    other = stored(tmp_path, KEY[::-1], build)
    assert (other / "rows.arrow").is_file()
    assert not other.is_relative_to(tmp_path)
    assert "building in a temporary folder" in caplog.text
    shutil.rmtree(other.parent)


def test_where_no_folder_can_be_written_that_is_named(tmp_path, build, monkeypatch):
    def refused(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(store, "FileLock", refused)
    monkeypatch.setattr(store.tempfile, "mkdtemp", refused)
    with pytest.raises(StorageError, match="cannot write into a temporary folder: Read-only file system"):
        stored(tmp_path, KEY, build)


def test_reading_takes_no_lock(tmp_path, build, monkeypatch):
    stored(tmp_path, KEY, build)
    monkeypatch.setattr(store, "FileLock", lambda _: 1 / 0)
    stored(tmp_path, KEY, build)


def test_what_a_kill_left_half_built_is_not_used(tmp_path, build, builds):
    half = files.beside(tmp_path / KEY, "part")
    half.mkdir(parents=True)
    (half / "rows.arrow").write_bytes(b"half")
    stored(tmp_path, KEY, build)
    assert len(builds) == 1
    assert not half.exists()


# --- in shards ---


@pytest.fixture
def shard(builds):
    def write(folder):
        builds.append(folder.name)
        (folder / "part.bin").write_bytes(b"a part")

    return write


def join(shards, folder):
    (folder / "rows.arrow").write_bytes(b"".join(file.read_bytes() for file in sorted(shards.glob("*/part.bin"))))


def test_phases_follow_each_other_and_only_the_entry_is_left(tmp_path, shard, builds):
    def phases(shards):
        yield {"a": shard}
        assert (shards / "a" / "part.bin").exists()
        yield {"b": shard, "c": shard}

    for _ in range(2):
        folder = stored_in_shards(tmp_path, KEY, phases, join)
    assert (folder / "rows.arrow").read_bytes() == b"a part" * 3
    assert builds == [".a.part", ".b.part", ".c.part"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [KEY, f"{KEY}.lock"]


@pytest.mark.parametrize("damage", [None, truncate])
def test_who_helps_while_the_entry_is_finished_takes_it(damage, tmp_path, shard, builds):
    """The shards are deleted under its hands, of an entry that was not there or was a damaged one."""
    if damage is not None:
        damage(stored_in_shards(tmp_path, KEY, lambda _: iter([{"a": shard, "b": shard}]), join) / "rows.arrow")

    def late(_):
        yield {"a": shard}
        stored_in_shards(tmp_path, KEY, lambda _: iter([{"a": shard, "b": shard}]), join)
        yield {"b": shard}

    before = len(builds)
    folder = stored_in_shards(tmp_path, KEY, late, lambda *_: 1 / 0)
    assert (folder / "rows.arrow").read_bytes() == b"a part" * 2
    assert len(builds) == before + 2
    assert sorted(path.name for path in tmp_path.iterdir()) == [KEY, f"{KEY}.lock"]


def test_a_disk_that_is_full_of_shards_is_named_and_freed(tmp_path, shard):
    def full(folder):
        shard(folder)
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StorageError, match=r"cannot write the cache .*: No space left on device"):
        stored_in_shards(tmp_path, KEY, lambda _: iter([{"a": shard, "b": full}]), join)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", [None, truncate])
def test_shards_of_a_cache_that_cannot_be_written_are_built_elsewhere(damage, tmp_path, shard, monkeypatch):
    if damage is not None:
        damage(stored_in_shards(tmp_path, KEY, lambda _: iter([{"a": shard}]), join) / "rows.arrow")
    lock = store.FileLock

    def refused(path, **options):
        if str(path).startswith(str(tmp_path)):
            raise OSError(errno.EROFS, "Read-only file system")
        return lock(path, **options)

    monkeypatch.setattr(store, "FileLock", refused)
    folder = stored_in_shards(tmp_path, KEY, lambda _: iter([{"a": shard}]), join)
    assert not folder.is_relative_to(tmp_path)
    assert (folder / "rows.arrow").read_bytes() == b"a part"
    shutil.rmtree(folder.parent)


def test_shards_that_were_left_are_listed_and_deleted_like_entries(tmp_path, shard):
    def killed(_):
        yield {"a": shard}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stored_in_shards(tmp_path, KEY, killed, join)
    assert [entry.folder.name for entry in entries(tmp_path)] == [f"{KEY}.shards"]
    assert len(prune(tmp_path, days=0.0)) == 1
    assert list(tmp_path.iterdir()) == []


# --- killed ---


def until_it_is_killed(begun):
    """A builder that has begun to write and gets no further."""

    def build(folder, *_):
        (folder / "part.bin").write_bytes(b"half")
        begun.set()
        threading.Event().wait()

    return build


def write_one(folder):
    (folder / "part.bin").write_bytes(b"a part")


def build_with(root, begun, *, joins):
    half = until_it_is_killed(begun)
    phases = {"a": write_one, "b": write_one if joins else half}
    stored_in_shards(root, KEY, lambda _: iter([phases]), lambda _, folder: half(folder))


@pytest.fixture
def killed(request, tmp_path):
    """A process that has written shard "a" and is in the midst of "b", or of the entry: to be killed."""
    context = multiprocessing.get_context("spawn")
    begun = context.Event()
    process = context.Process(target=build_with, args=(tmp_path, begun), kwargs={"joins": request.param == "entry"})
    process.start()
    assert begun.wait(60)
    yield process
    process.kill()
    process.join()


def kill(process):
    os.kill(process.pid, signal.SIGKILL)
    process.join()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.processes
@pytest.mark.parametrize(("killed", "left"), [("shard", [".b.part"]), ("entry", [])], indirect=["killed"])
def test_what_a_killed_process_has_not_finished_is_built_by_the_next(killed, left, tmp_path, shard, builds):
    kill(killed)
    assert not (tmp_path / KEY).exists()
    folder = stored_in_shards(tmp_path, KEY, lambda _: iter([{"a": shard, "b": shard}]), join)
    assert builds == left
    assert (folder / "rows.arrow").read_bytes() == b"a part" * 2
    assert names(tmp_path) == [KEY, f"{KEY}.lock"]


@pytest.mark.processes
@pytest.mark.parametrize("killed", ["shard"], indirect=True)
def test_who_waits_for_a_process_that_is_killed_goes_on(killed, tmp_path, shard, builds):
    waits = threading.Event()

    def last(folder):
        shard(folder)
        waits.set()  # "b" alone is left, which the other process works on

    with ThreadPoolExecutor(1) as pool:
        phases = {"a": shard, "b": shard, "c": last}
        found = pool.submit(stored_in_shards, tmp_path, KEY, lambda _: iter([phases]), join)
        assert waits.wait(60)
        assert not found.done()
        kill(killed)
        folder = found.result(60)
    assert builds == [".c.part", ".b.part"]
    assert (folder / "rows.arrow").read_bytes() == b"a part" * 3
    assert names(tmp_path) == [KEY, f"{KEY}.lock"]


@pytest.mark.processes
@pytest.mark.parametrize("killed", ["entry"], indirect=True)
def test_what_a_killed_process_left_is_listed_and_deleted_and_nothing_of_a_living_one(killed, tmp_path):
    assert prune(tmp_path, days=0.0) == []
    kill(killed)
    left = {f".{KEY}.part", f"{KEY}.shards"}
    assert {entry.folder.name for entry in entries(tmp_path)} == left
    assert {entry.folder.name for entry in prune(tmp_path, days=0.0)} == left
    assert names(tmp_path) == []


def test_shards_are_deleted_beside_those_whose_deletion_was_cut_short(tmp_path, shard):
    (tmp_path / f"{KEY}.deleted" / "a").mkdir(parents=True)
    stored_in_shards(tmp_path, KEY, lambda _: iter([{"a": shard}]), join)
    assert names(tmp_path) == [KEY, f"{KEY}.lock"]


def test_an_entry_that_another_process_mends_during_the_check_is_not_built_again(tmp_path, shard, builds, monkeypatch):
    """The check of a damaged entry takes as long as its files are large."""
    truncate(stored_in_shards(tmp_path, KEY, lambda _: iter([{"a": shard}]), join) / "rows.arrow")
    check, before = store.check_manifest, len(builds)

    def slowly(folder):
        monkeypatch.setattr(store, "check_manifest", check)
        try:
            check(folder)
        finally:
            stored_in_shards(tmp_path, KEY, lambda _: iter([{"a": shard}]), join)

    monkeypatch.setattr(store, "check_manifest", slowly)
    folder = stored_in_shards(tmp_path, KEY, lambda _: iter([{"a": shard}]), join)
    assert (folder / "rows.arrow").read_bytes() == b"a part"
    assert len(builds) == before + 1


# --- looking after it ---


def test_entries_are_listed_and_old_ones_deleted(tmp_path, build):
    old, new = (stored(tmp_path, key, build) for key in (KEY, KEY[::-1]))
    (tmp_path / "somebody's notes").mkdir()
    (tmp_path / "data.txt").write_text("not ours")
    long_ago = time.time() - 10 * 86_400
    for file in old.iterdir():
        os.utime(file, (long_ago, long_ago))
    found = entries(tmp_path)
    assert [entry.folder for entry in found] == [new, old]
    assert found[0].size == sum(file.stat().st_size for file in new.iterdir())
    assert [entry.folder for entry in prune(tmp_path, days=20.0)] == []
    assert [entry.folder for entry in prune(tmp_path, days=5.0)] == [old]
    assert [entry.folder for entry in prune(tmp_path, days=0.0)] == [new]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.txt", "somebody's notes"]


def test_use_is_noted(tmp_path, build):
    folder = stored(tmp_path, KEY, build)
    for file in folder.iterdir():
        os.utime(file, (1, 1))
    stored(tmp_path, KEY, build)
    assert prune(tmp_path, days=1.0) == []


def test_no_cache_has_no_entries(tmp_path):
    assert entries(tmp_path / "none") == []
