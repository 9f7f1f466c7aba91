"""Folders of a cache: used without a lock where they are whole, built anew where they are not.

Each entry has a manifest with the hash of every file, which is checked before use: what a disk or a copy has damaged is
built again with a warning, never trained on. A cache that cannot be written is used for reading; what it lacks is then
built in a temporary folder.

What takes long is built in shards, by all processes that want it: each takes the next one that nobody works on. A shard
is whole or not there, so that nothing of a killed process is done twice.
"""

import atexit
import contextlib
import errno
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from datasets.config import HF_DATASETS_CACHE
from filelock import FileLock, Timeout

from qa.errors import StorageError
from qa.files import MANIFEST, NO_LOCKS, check_manifest, whole_folder, write_manifest

log = logging.getLogger(__name__)

Build = Callable[[Path], None]
"""Fills a folder."""
Phases = Callable[[Path], Iterator[Mapping[str, Build]]]
"""Yields shards by name, for the folder in which they are; when it is asked for more, all earlier ones are whole."""
Version = tuple[int, int] | None
"""Inode and time of an entry's manifest, which change when it is built, or found whole; None: there is none."""

_LOCK, _SHARDS, _DELETED = ".lock", ".shards", ".deleted"
_NOT_OURS = {errno.EACCES, errno.EPERM, errno.EROFS} | NO_LOCKS
"""What systems answer where a cache is another user's, read-only, or cannot be locked."""
_HEX = set("0123456789abcdef")


def cache_root(folder: Path | None) -> Path:
    """Return the folder of the cache: the given one, or one in the data sets library's."""
    return folder or Path(HF_DATASETS_CACHE) / "qa-features"


def stored(root: Path, key: str, build: Build) -> Path:
    """Return the whole folder of `key` under `root`, which `build` fills where there is none.

    A lock on the key lets one process build while the others of the machine wait; reading takes none.

    Raises:
        StorageError: neither the cache nor a temporary folder can be written, for want of space say.

    """
    return _stored(root, key, lambda folder, _: _built_in(folder, build))


def stored_in_shards(root: Path, key: str, phases: Phases, join: Callable[[Path, Path], None]) -> Path:
    """Do what `stored` does; what takes long is done by all processes that come, of one run or of several.

    Args:
        root: of the cache.
        key: of the entry.
        phases: what is to be done first, in shards; those of a phase are written in any order.
        join: fills a folder, its second argument, from that of the shards, its first.

    Raises:
        StorageError: as `stored`.

    """

    def built(folder: Path, before: Version) -> Path:
        shards = folder.with_name(f"{folder.name}{_SHARDS}")
        try:
            _write_shards(shards, phases, is_built=lambda: _version(folder) != before)
            return _built_in(folder, lambda part: join(shards, part), shards)
        except (OSError, StorageError):  # a disk that is full, say
            _delete(shards)
            raise

    return _stored(root, key, built)


def _stored(root: Path, key: str, built: Callable[[Path, Version], Path]) -> Path:
    folder = root / key
    before = _version(folder)  # before the check, which takes seconds: another process may build the entry meanwhile
    if _is_whole(folder):
        return folder
    try:
        return built(folder, before)
    except OSError as error:
        if error.errno not in _NOT_OURS:
            raise StorageError(f"cannot write the cache {root}: {error.strerror or error}") from error
        log.warning("cannot write the cache %s: %s; building in a temporary folder", root, error.strerror)
        return _built_apart(key, built)


def _is_whole(folder: Path) -> bool:
    """Check an entry, and note that it is used; complain of a damaged one."""
    if not os.path.lexists(folder):
        return False
    try:
        check_manifest(folder)
    except StorageError as error:
        log.warning("a damaged entry of the cache is built again: %s", error)
        return False
    with contextlib.suppress(OSError):
        os.utime(folder / MANIFEST)
    return True


def _version(folder: Path) -> Version:
    with contextlib.suppress(OSError):
        found = (folder / MANIFEST).stat()
        return found.st_ino, found.st_mtime_ns
    return None


def _built_in(folder: Path, build: Build, shards: Path | None = None) -> Path:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}{_LOCK}"):
        if not _is_whole(folder):  # else another process has built it
            with whole_folder(folder) as part:
                build(part)
                write_manifest(part)
        if shards is not None:
            _delete(shards)
    return folder


def _delete(shards: Path) -> None:
    """Delete shards, all at once for who still works on them."""
    gone = shards.with_suffix(_DELETED)
    shutil.rmtree(gone, ignore_errors=True)  # what a process left that was killed in here
    with contextlib.suppress(OSError):
        shards.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def _write_shards(shards: Path, phases: Phases, is_built: Callable[[], bool]) -> None:
    """Write all shards, together with the other processes that do; end when one has built the entry of them."""
    shards.mkdir(parents=True, exist_ok=True)
    try:
        for phase in phases(shards):
            for seconds in (0.0, -1.0):  # first what nobody works on, then what others have not finished, or never will
                for name, write in phase.items():
                    if is_built():
                        return
                    _write_shard(shards / name, write, seconds)
    except FileNotFoundError:
        if not is_built():  # whoever has built the entry deletes the shards
            raise


def _write_shard(shard: Path, write: Build, seconds: float) -> None:
    """Write a shard if it is not there; wait so long for another process that does, -1 for ever."""
    if shard.exists():
        return
    with contextlib.suppress(Timeout), FileLock(f"{shard}{_LOCK}", timeout=seconds):
        if not shard.exists():
            with whole_folder(shard) as part:
                write(part)


def _built_apart(key: str, built: Callable[[Path, Version], Path]) -> Path:
    """Build in a folder that ends with this process."""
    try:
        root = Path(tempfile.mkdtemp(prefix="qa-cache-"))
        atexit.register(shutil.rmtree, root, ignore_errors=True)
        return built(root / key, None)
    except OSError as error:
        raise StorageError(f"cannot write into a temporary folder: {error.strerror or error}") from error


# --- looking after it ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One folder of a cache."""

    folder: Path
    size: int
    """Bytes."""
    used: float
    """When it was last used, in seconds of `time.time`."""


def entries(root: Path) -> list[Entry]:
    """Return the entries of a cache, the one used last first; none where there is no such folder."""
    found = list(_entries(root))
    return sorted(found, key=lambda entry: -entry.used)


def prune(root: Path, *, days: float) -> list[Entry]:
    """Delete the entries that were not used for `days`, and return them; what is being built stays.

    Raises:
        StorageError: one cannot be deleted.

    """
    oldest = time.time() - days * 86_400
    return [entry for entry in entries(root) if entry.used <= oldest and _delete_unused(entry.folder)]


def _delete_unused(folder: Path) -> bool:
    """Delete an entry, or what is left of one; return False where it is being built."""
    lock = folder.with_name(f"{_key_of(folder)}{_LOCK}")
    try:
        with FileLock(lock, timeout=0):
            shutil.rmtree(folder)
        lock.unlink(missing_ok=True)
    except Timeout:
        return False
    except OSError as error:
        raise StorageError(f"cannot delete {folder}: {error.strerror}") from error
    return True


def _entries(root: Path) -> Iterator[Entry]:
    """Yield entries, and what killed processes left of some: `KEY.shards`, `.KEY.part`; other things are not ours."""
    if not root.is_dir():
        return
    for folder in root.iterdir():
        key = _key_of(folder)
        if folder.is_dir() and len(key) == 32 and set(key) <= _HEX:
            files = [file.stat() for file in folder.rglob("*") if file.is_file()]
            used = max((file.st_mtime for file in files), default=folder.stat().st_mtime)
            yield Entry(folder=folder, size=sum(file.st_size for file in files), used=used)


def _key_of(folder: Path) -> str:
    return folder.name.removeprefix(".").partition(".")[0]
