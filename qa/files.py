"""Files and folders that appear whole or not at all: written under a temporary name, flushed to disk, renamed.

One process at a time may write a given path; what a killed one left behind is removed when the path is written again.
"""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import orjson

from qa.errors import StorageError

MANIFEST = "manifest.json"
"""File with the size and hash of every other file of its folder."""


def write_whole(path: Path, text: str) -> None:
    """Write UTF-8 `text` to `path`; whoever reads `path` finds the old content or the new, never a part.

    Raises:
        StorageError: it cannot be written, for want of space say; the old content is still there.

    """
    with whole_file(path) as file:
        file.write(text)


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[TextIO]:
    """Give a temporary UTF-8 file to write; on leaving, flush it to disk and rename it to `path`.

    Raises:
        StorageError: it cannot be written. After this or any other error the old content is still there.

    """
    part = _beside(path, "part")
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


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder to fill; on leaving, flush it to disk and rename it to `path`, replacing what is there.

    After an error nothing is left behind and `path` is as before.
    """
    part = _beside(path, "part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        for file in part.rglob("*"):
            flush_to_disk(file)
        flush_to_disk(part)
        _put_in_place(part, path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


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


def _beside(path: Path, kind: str) -> Path:
    return path.with_name(f".{path.name}.{kind}")


def flush_to_disk(path: Path) -> None:
    """Make the content of a file, or the entries of a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _put_in_place(part: Path, path: Path) -> None:
    """Rename; a folder cannot be renamed over one that has files, so that one steps aside first."""
    old = _beside(path, "old")
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        path.rename(old)
    try:
        part.rename(path)
    except OSError:
        if old.exists():
            old.rename(path)
        raise
    flush_to_disk(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def _describe(file: Path) -> dict[str, Any]:
    with file.open("rb") as content:
        return {"bytes": file.stat().st_size, "sha256": hashlib.file_digest(content, "sha256").hexdigest()}
