"""Folders of a cache: used without a lock where they are whole, built anew where they are not.

Each entry has a manifest with the hash of every file, which is checked before use: what a disk or a copy has damaged is
built again with a warning, never trained on. A cache that cannot be written is used for reading; what it lacks is then
built in a temporary folder.
"""

import atexit
import contextlib
import errno
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from qa.errors import StorageError
from qa.files import MANIFEST, NO_LOCKS, check_manifest, whole_folder, write_manifest

log = logging.getLogger(__name__)

_LOCK = ".lock"
_NOT_OURS = {errno.EACCES, errno.EPERM, errno.EROFS} | NO_LOCKS
"""What systems answer where a cache is another user's, read-only, or cannot be locked."""
_HEX = set("0123456789abcdef")


def stored(root: Path, key: str, build: Callable[[Path], None]) -> Path:
    """Return the whole folder of `key` under `root`, which `build` fills where there is none.

    A lock on the key lets one process build while the others of the machine wait; reading takes none.

    Raises:
        StorageError: neither the cache nor a temporary folder can be written, for want of space say.

    """
    folder = root / key
    if _is_whole(folder):
        return folder
    try:
        return _built_in(folder, build)
    except OSError as error:
        if error.errno not in _NOT_OURS:
            raise StorageError(f"cannot write the feature cache {root}: {error.strerror or error}") from error
        log.warning("cannot write the feature cache %s: %s; building in a temporary folder", root, error.strerror)
        return _built_apart(key, build)


def _is_whole(folder: Path) -> bool:
    """Check an entry, and note that it is used; complain of a damaged one."""
    if not os.path.lexists(folder):
        return False
    try:
        check_manifest(folder)
    except StorageError as error:
        log.warning("a damaged entry of the feature cache is built again: %s", error)
        return False
    with contextlib.suppress(OSError):
        os.utime(folder / MANIFEST)
    return True


def _built_in(folder: Path, build: Callable[[Path], None]) -> Path:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}{_LOCK}"):
        if _is_whole(folder):  # another process has built it
            return folder
        with whole_folder(folder) as part:
            build(part)
            write_manifest(part)
    return folder


def _built_apart(key: str, build: Callable[[Path], None]) -> Path:
    """Build in a folder that ends with this process."""
    try:
        root = Path(tempfile.mkdtemp(prefix="qa-features-"))
        atexit.register(shutil.rmtree, root, ignore_errors=True)
        return _built_in(root / key, build)
    except OSError as error:
        raise StorageError(f"cannot write features into a temporary folder: {error.strerror or error}") from error


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
    """Delete the entries that were not used for `days`, and return them.

    Raises:
        StorageError: one cannot be deleted.

    """
    oldest = time.time() - days * 86_400
    old = [entry for entry in entries(root) if entry.used <= oldest]
    for entry in old:
        try:
            shutil.rmtree(entry.folder)
            entry.folder.with_name(f"{entry.folder.name}{_LOCK}").unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"cannot delete {entry.folder}: {error.strerror}") from error
    return old


def _entries(root: Path) -> Iterator[Entry]:
    """Yield what has an entry's name: a cache folder may hold other things, which are not ours to delete."""
    if not root.is_dir():
        return
    for folder in root.iterdir():
        if folder.is_dir() and len(folder.name) == 32 and set(folder.name) <= _HEX:
            files = [file.stat() for file in folder.rglob("*") if file.is_file()]
            used = max((file.st_mtime for file in files), default=folder.stat().st_mtime)
            yield Entry(folder=folder, size=sum(file.st_size for file in files), used=used)
