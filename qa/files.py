"""Files and folders that appear whole or not at all: written under a temporary name, flushed to disk, renamed."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write UTF-8 `text` to `path`; whoever reads `path` finds the old content or the new, never a part."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8", newline="")
        flush_to_disk(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_json(path: Path, value: object) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    write_whole(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder to fill; on leaving, flush it to disk and rename it to `path`, replacing what is there.

    After an error nothing is left behind and `path` is as before.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
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


def flush_to_disk(path: Path) -> None:
    """Make the content of a file, or the entries of a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _put_in_place(part: Path, path: Path) -> None:
    """Rename; a folder cannot be renamed over one that has files, so that one steps aside first."""
    old = path.with_name(f".{path.name}.{os.getpid()}.old")
    if path.exists():
        path.rename(old)
    part.rename(path)
    flush_to_disk(path.parent)
    shutil.rmtree(old, ignore_errors=True)
