"""Files and folders that appear whole or not at all: written under a temporary name, flushed to disk, put in place.

A folder that replaces another one is exchanged with it in one system call where the system can (Linux, macOS).
Elsewhere two renames are needed; each state between them has a name of its own, from which `recover` finishes:

    .NAME.part  being filled: worth nothing
    .NAME.new   complete and flushed: to be put in place
    .NAME.old   stepped aside for the new one

One process at a time may write a given path; what a killed one left behind is removed when the path is written again.
"""

import contextlib
import ctypes
import errno
import hashlib
import json
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import orjson

from qa.errors import StorageError

MANIFEST = "manifest.json"
_DATA_SUFFIXES = {".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet", ".gz"}
"""File with the size and hash of every other file of its folder."""

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # Linux's fcntl.h and fs.h
_RENAME_SWAP = 2  # macOS's stdio.h
_NO_EXCHANGE = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EXDEV, errno.EPERM, errno.ENOTTY}
"""What file systems without an exchange answer: NFS, FAT, overlays."""
NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, 524}
"""What file systems without locks answer: NFS without its lock daemon (524 is the kernel's own ENOTSUPP), some FUSE."""
_NO_FLUSH_OF_FOLDERS = {errno.EACCES, errno.EISDIR, errno.EINVAL, errno.EBADF, errno.ENOTSUP}
"""What systems answer on which a folder's entries cannot be flushed: Windows, some network file systems."""


# --- files --------------------------------------------------------------------------------------------------------


def write_whole(path: Path, text: str) -> None:
    """Write UTF-8 `text` to `path`; whoever reads `path` finds the old content or the new, never a part.

    Raises:
        StorageError: it cannot be written, for want of space say; the old content is still there.

    """
    with whole_file(path) as file:
        file.write(text)


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[TextIO]:
    """Yield a temporary UTF-8 file to write; on leaving, flush it to disk and rename it to `path`.

    Raises:
        StorageError: it cannot be written. After this or any other error the old content is still there.

    """
    part = beside(path, "part")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            yield file
        flush_to_disk(part)
        part.replace(path)
        flush_to_disk(path.parent)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise StorageError(f"cannot write {path}: {error.strerror}") from error
        raise


def write_json(path: Path, value: object) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    write_whole(path, orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode())


def from_home(path: str | Path) -> Path:
    """Return a path with `~` replaced as a shell does it: left as it is where there is no such user."""
    return Path(os.path.expanduser(path))  # noqa: PTH111  # pathlib's raises for a user that is not there


# --- folders ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder to fill; on leaving, flush it to disk and put it in the place of what is at `path`.

    Its files are as readable as the umask lets new files be, whatever mode their writers chose. A link stays, and leads
    to the new folder. After an error nothing is left behind and `path` is as before.
    """
    path = _followed(path)
    recover(path)
    part = beside(path, "part")
    part.mkdir(parents=True)
    try:
        yield part
        for file in part.rglob("*"):
            follow_umask(file)
            flush_to_disk(file)
        flush_to_disk(part)
        _put_in_place(part, path)
    finally:
        _remove(part)


def recover(path: Path) -> None:
    """Finish the replacement of the folder `path` that a killed process began, and remove what it left behind."""
    path = _followed(path)
    part, new, old = (beside(path, kind) for kind in ("part", "new", "old"))
    if new.exists():
        _replace_in_steps(new, path)
    elif old.exists() and not path.exists():
        old.rename(path)
    for leftover in (part, old):
        _remove(leftover)


def interrupted_folders(parent: Path, names: str) -> set[Path]:
    """Return the folders of `parent` whose replacement a killed process did not finish; `names` is a pattern."""
    found = (path for kind in ("part", "new", "old") for path in parent.glob(f".{names}.{kind}"))
    return {path.with_name(path.name[1:].rpartition(".")[0]) for path in found}


def link_or_copy(source: Path, target: Path) -> None:
    """Make a file appear under a second name: as a link to the same content, or as a copy where that is impossible."""
    try:
        target.hardlink_to(source)
    except OSError:  # FAT, some network file systems
        shutil.copyfile(source, target)


def beside(path: Path, kind: str) -> Path:
    """Return the hidden name beside `path` for what is being written, is new or is old."""
    return path.with_name(f".{path.name}.{kind}")


def follow_umask(file: Path) -> None:
    """Let a file be as readable as a new one: safetensors writes them for their owner only.

    The folder tells, for the umask itself can be read only by changing it, for other threads too.
    """
    mode = file.lstat().st_mode
    if stat.S_ISREG(mode):
        file.chmod(file.parent.stat().st_mode & 0o666)


def flush_to_disk(path: Path) -> None:
    """Make the content of a file, or the entries of a folder, survive a power cut."""
    is_folder = path.is_dir()
    try:
        descriptor = os.open(path, os.O_RDONLY if is_folder else os.O_RDWR)  # Windows flushes what may be written
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if not (is_folder and error.errno in _NO_FLUSH_OF_FOLDERS):
            raise


def _put_in_place(part: Path, path: Path) -> None:
    """Put a complete folder at `path`: by a rename, by an exchange with what is there, or in steps."""
    if not path.exists():
        part.rename(path)
    elif not exchange(part, path):
        new = beside(path, "new")
        part.rename(new)
        flush_to_disk(path.parent)
        try:
            _replace_in_steps(new, path)
        except OSError:
            if not path.exists():
                beside(path, "old").rename(path)
            shutil.rmtree(new, ignore_errors=True)
            raise
    flush_to_disk(path.parent)


def _replace_in_steps(new: Path, path: Path) -> None:
    old = beside(path, "old")
    if path.exists():
        _remove(old)
        path.rename(old)
    new.rename(path)
    flush_to_disk(path.parent)
    _remove(old)


def _followed(path: Path) -> Path:
    """Return where a link leads."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def _remove(path: Path) -> None:
    """Remove a folder, or the file in whose place one was put, as far as the system lets us."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def exchange(one: Path, other: Path) -> bool:
    """Exchange two paths in one system call; return False where system or file system have none.

    Raises:
        OSError: it failed for another reason; nothing has changed.

    """
    names = os.fsencode(one), os.fsencode(other)
    if sys.platform not in {"linux", "darwin"}:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "renameat2"):  # glibc 2.28, musl 1.2.6
        failed = libc.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE)
    elif hasattr(libc, "renamex_np"):
        failed = libc.renamex_np(*names, _RENAME_SWAP)
    else:
        return False
    if not failed:
        return True
    number = ctypes.get_errno()
    if number in _NO_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number), str(other))


# --- manifests ----------------------------------------------------------------------------------------------------


def write_manifest(folder: Path) -> None:
    """Write down the size and hash of every file of `folder`."""
    write_json(folder / MANIFEST, {file.name: _describe(file) for file in sorted(folder.iterdir())})


def check_manifest(folder: Path) -> None:
    """Compare the files of `folder` with the sizes and hashes in its manifest.

    Raises:
        StorageError: a file is missing, torn or changed, or there is no manifest.

    """
    try:
        manifest: dict[str, Any] = dict(json.loads((folder / MANIFEST).read_bytes()))
        found = {name: _describe(folder / name) for name in manifest}
    except (OSError, ValueError, TypeError) as error:
        raise StorageError(f"{folder / MANIFEST} is not complete, or its files are not: {error}") from error
    for name, wanted in manifest.items():
        if found[name] != wanted:
            raise StorageError(f"{folder / name} is {found[name]}; wanted {wanted}")


def _describe(file: Path) -> dict[str, Any]:
    with file.open("rb") as content:
        return {"bytes": file.stat().st_size, "sha256": hashlib.file_digest(content, "sha256").hexdigest()}


# --- names --------------------------------------------------------------------------------------------------------


def looks_like_path(source: str) -> bool:
    """Tell a path, perhaps a mistyped one or of Windows, from a hub id, which is `name` or `owner/name`."""
    of_windows = "\\" in source or source[1:2] == ":"
    of_unix = source.startswith((".", "/", "~")) or source.count("/") > 1
    return of_windows or of_unix or Path(source).suffix in _DATA_SUFFIXES
