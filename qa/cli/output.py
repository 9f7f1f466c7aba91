"""Where commands write: a file that appears when complete, a pipe or device, or standard output.

Until a file of lines is complete they stand under its name with `.part`, and what they were made of beside it: an
interrupted `qa predict` loses nothing, and `--resume` goes on only with the same model, data and options.
"""

import contextlib
import json
import logging
import os
import shutil
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

from qa.errors import StorageError, UsageError
from qa.files import flush_to_disk, whole_file, write_json

log = logging.getLogger(__name__)

STANDARD_OUTPUT = Path("-")


@runtime_checkable
class LineStream(Protocol):
    """What takes lines of text."""

    def write(self, text: str, /) -> object:
        """Take a text."""

    def writelines(self, lines: Iterable[str], /) -> object:
        """Take several."""

    def flush(self) -> object:
        """Let go of what was taken."""

    def fileno(self) -> int:
        """Return the descriptor."""


@runtime_checkable
class StandardStream(LineStream, Protocol):
    """Standard output or standard error."""

    @property
    def buffer(self) -> BufferedIOBase:
        """The stream of bytes below."""


@dataclass(frozen=True, kw_only=True)
class Output:
    """An open place to write lines to."""

    lines: LineStream
    done: int
    """Lines that are there already, of an interrupted command."""
    name: str
    is_standard: bool = False
    """Whether it is standard output, on which nothing else may be printed."""


@contextlib.contextmanager
def open_output(
    path: Path, *, overwrite: bool, resume: bool, source: Mapping[str, Any], multiple: int = 1
) -> Iterator[Output]:
    """Open what `path` names for lines of UTF-8.

    Links are followed. What is no regular file (a pipe, a device) is written as the lines come, and so is standard
    output, as `-` or by any other name. A file is written under another name first.

    Args:
        path: what to write.
        overwrite: whether a file that exists, also one of an interrupted command, may be replaced.
        resume: whether to go on where an interrupted command ended.
        source: what the lines are made of, as JSON has it.
        multiple: lines that belong together: of an interrupted command whole groups are kept.

    Raises:
        UsageError: a file is there and may not be replaced, or there is nothing to go on with, or of something else.
        StorageError: it cannot be written; what was written stays under the name that the message says.

    """
    standard = _standard_stream(path)
    if standard is not None:
        with _told_of_errors(path):
            yield Output(lines=standard, done=0, name=str(path), is_standard=standard is sys.stdout)
            standard.flush()
        return
    if _is_special(path):
        with _told_of_errors(path), path.open("w", encoding="utf-8", newline="") as stream:
            yield Output(lines=stream, done=0, name=str(path))
        return
    target = _target(path)
    part = PartFile(target, source)
    done = part.begin(overwrite=overwrite, resume=resume, multiple=multiple)
    with _told_of_errors(path, part):
        with part.path.open("a", encoding="utf-8", newline="") as lines:
            yield Output(lines=lines, done=done, name=str(path))
        part.complete()


@dataclass(frozen=True, kw_only=True)
class BytesOutput:
    """An open place to write bytes to."""

    file: BufferedIOBase
    is_file: bool
    """Whether it is a file, which other files may stand beside."""
    is_standard: bool = False
    """Whether it is standard output, on which nothing else may be printed."""


@contextlib.contextmanager
def open_bytes(path: Path, *, overwrite: bool) -> Iterator[BytesOutput]:
    """Open what `path` names, by the rules of `open_output`, for bytes; a file appears whole or not at all.

    Raises:
        UsageError: a file is there and may not be replaced.
        StorageError: it cannot be written.

    """
    standard = _standard_stream(path)
    if standard is not None:
        with _told_of_errors(path):
            yield BytesOutput(file=standard.buffer, is_file=False, is_standard=standard is sys.stdout)
            standard.flush()
        return
    if _is_special(path):
        with _told_of_errors(path), path.open("wb") as stream:
            yield BytesOutput(file=stream, is_file=False)
        return
    target = _target(path)
    _require_free(target, overwrite=overwrite)
    with whole_file(target) as file:
        if target.exists():
            shutil.copymode(target, file.name)
        yield BytesOutput(file=cast("BufferedIOBase", file.buffer), is_file=True)


def _target(path: Path) -> Path:
    """Return what a link leads to, which is written; the link stays."""
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:  # links in a circle: the one since Python 3.13, the other before
        raise StorageError(f"cannot write {path}: {error}") from error


def _is_special(path: Path) -> bool:
    """Return whether a pipe, a device or the like is there, which is written as things come.

    Links are followed by the system: what a shell's `>(command)` becomes leads to a pipe that no path names.
    """
    return path.exists() and not stat.S_ISREG(path.stat().st_mode)


def _require_free(target: Path, *, overwrite: bool) -> None:
    if target.exists() and not overwrite:
        raise UsageError(f"{target} exists; wanted another name, or --overwrite")


def _standard_stream(path: Path) -> StandardStream | None:
    """Return the stream that `path` names: `-`, `/dev/stdout`, or a link to the same; None for anything else."""
    out, error = cast("StandardStream", sys.stdout), cast("StandardStream", sys.stderr)
    if path == STANDARD_OUTPUT:
        return out
    for stream in (out, error):
        with contextlib.suppress(OSError, ValueError):  # no such file, or a stream without a descriptor
            if os.path.samestat(path.stat(), os.fstat(stream.fileno())):
                return stream
    return None


@contextlib.contextmanager
def _told_of_errors(path: Path, part: "PartFile | None" = None) -> Iterator[None]:
    kept = f"; what was done is in {part.path}, --resume goes on from there" if part is not None else ""
    try:
        yield
    except BrokenPipeError:  # who reads has seen enough
        raise
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}{kept}") from error
    except BaseException:
        if part is not None and part.path.exists():
            print(f"interrupted{kept}", file=sys.stderr)  # noqa: T201
        raise


class PartFile:
    """The lines of a file that is not complete yet, and what they are made of."""

    def __init__(self, target: Path, source: Mapping[str, Any]) -> None:
        """Name the files."""
        self.target, self._source = target, dict(source)
        self.path = target.with_name(f"{target.name}.part")
        self._origin = target.with_name(f"{target.name}.part.json")

    def begin(self, *, overwrite: bool, resume: bool, multiple: int) -> int:
        """Make room for the lines, or keep those that are there; return how many are kept.

        Raises:
            UsageError, StorageError: see `open_output`.

        """
        if overwrite and resume:
            raise UsageError("found --overwrite and --resume; wanted one of them")
        _require_free(self.target, overwrite=overwrite)
        if resume and self.path.exists():
            self._require_same_source()
            return self._keep_whole_lines(multiple)
        if self.path.exists() and not overwrite:
            raise UsageError(f"found {self.path} of an interrupted command; wanted --resume or --overwrite")
        try:
            self.path.write_text("")
            write_json(self._origin, self._source)
        except OSError as error:
            raise StorageError(f"cannot write {self.target}: {error.strerror}") from error
        return 0

    def complete(self) -> None:
        """Put the lines in the place of the file, with its mode if it had one."""
        if self.target.exists():
            shutil.copymode(self.target, self.path)
        flush_to_disk(self.path)
        self.path.replace(self.target)
        flush_to_disk(self.target.parent)
        self._origin.unlink(missing_ok=True)

    def _require_same_source(self) -> None:
        try:
            found: dict[str, Any] = dict(json.loads(self._origin.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise UsageError(f"cannot read {self._origin}, of what {self.path} is made: {error}") from error
        wanted = json.loads(json.dumps(self._source))
        differing = [name for name in wanted if found.get(name) != wanted[name]]
        if differing:
            told = (f"{name} is {found.get(name)!r} there and {wanted[name]!r} here" for name in differing)
            raise UsageError(f"{self.path} is made of something else: {'; '.join(told)}")

    def _keep_whole_lines(self, multiple: int) -> int:
        """Cut off a torn last line and an incomplete last group; return the lines that are left."""
        content = self.path.read_bytes()
        ends = [at + 1 for at, byte in enumerate(content) if byte == ord("\n")]
        kept = len(ends) // multiple * multiple
        os.truncate(self.path, ends[kept - 1] if kept else 0)
        return kept
