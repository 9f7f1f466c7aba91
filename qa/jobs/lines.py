"""JSON Lines: pieces of files, their rows, and the rows with answers. All that a row says is carried over as it is."""

import gzip
import itertools
import json
import math
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from qa.data.columns import text_columns
from qa.data.formats import damage_named
from qa.data.text_files import BYTE_ORDER_MARK, opened
from qa.errors import ConfigError, DataError, in_a_line
from qa.inference.inputs import INPUTS_AT_ONCE
from qa.jobs.answering import Answering, Told
from qa.jobs.pieces import Piece, Tally
from qa.jobs.tables import answer_schema, require_free

_GZIP = b"\x1f\x8b"


class _Line(NamedTuple):
    """A row, or what is wrong with its line."""

    row: dict[str, Any]
    problem: str | None = None


def line_pieces(path: Path, size: int) -> Iterator[Piece]:
    """Cut a file into pieces of about `size` bytes; a packed one is one piece.

    Args:
        path: of the file.
        size: bytes.

    """
    length = path.stat().st_size
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP
    step = max(length, 1) if packed else size
    for begin in range(0, max(length, 1), step):
        end = min(begin + step, length)
        yield Piece(str(path), begin, end, end - begin)


def require_readable(path: Path, kept: Sequence[str] | None, top_k: int) -> None:
    """Check that a file's first row can be answered, as far as its names go.

    Raises:
        DataError: the file cannot be read, is no JSON Lines, or its first row has no question or context.
        ConfigError: the row has the name of something that is written to it.

    """
    with damage_named(path), opened(path) as file:
        first = file.readline().removeprefix(BYTE_ORDER_MARK).strip()
    if not first:
        return
    line = _parsed(first, f"{path}: line 1")
    if line.problem is not None:
        raise DataError(f"{line.problem}; wanted JSON Lines: an object in every line")
    text_columns(line.row)
    require_free([name for name in line.row if kept is None or name in kept], top_k)


def answer_lines(
    pieces: Sequence[Piece], target: Path, answering: Answering, kept: Sequence[str] | None = None
) -> Tally:
    """Answer the rows of pieces into a new file; return how many there were, and how many failed.

    A line that is no row, and a damaged rest of a file, become rows with an error.

    Raises:
        OSError: the new file cannot be written.

    """
    rows = errors = 0
    lines = itertools.chain.from_iterable(map(_lines, pieces))
    names = answer_schema(answering.options.top_k).names
    with target.open("w", encoding="utf-8", newline="") as file:
        while group := list(itertools.islice(lines, INPUTS_AT_ONCE)):
            told = _told(group, answering, kept)
            rows += len(told)
            errors += sum(one["error"] is not None for one in told)
            for line, one in zip(group, told, strict=True):
                carried = {name: value for name, value in line.row.items() if kept is None or name in kept}
                file.write(f"{json.dumps(carried | {name: one[name] for name in names})}\n")
    return Tally(rows, errors)


def _told(lines: Sequence[_Line], answering: Answering, kept: Sequence[str] | None) -> list[Told]:
    problems = [line.problem or _names_problem(line.row, answering, kept) for line in lines]
    good = [line.row for line, problem in zip(lines, problems, strict=True) if problem is None]
    found = iter(answering.told([text_columns(row).read(row) for row in good]))
    return [next(found) if problem is None else answering.failed(problem) for problem in problems]


def _names_problem(row: dict[str, Any], answering: Answering, kept: Sequence[str] | None) -> str | None:
    """Return what is wrong with the names of a row, as far as it can differ from the first row's."""
    try:
        text_columns(row)
        require_free([name for name in row if kept is None or name in kept], answering.options.top_k)
    except (DataError, ConfigError) as error:
        return str(error)
    return None


def _lines(piece: Piece) -> Iterator[_Line]:
    """Yield the lines that begin in a piece."""
    path = Path(piece.path)
    place = piece.begin
    try:
        with opened(path) as file:
            if place:
                file.seek(place - 1)
                place += len(file.readline()) - 1  # the rest of a line that began before
            end = math.inf if isinstance(file, gzip.GzipFile) else piece.end
            while place < end and (line := file.readline()):
                if text := line.removeprefix(BYTE_ORDER_MARK if not place else b"").strip():
                    yield _parsed(text, f"{path}: byte {place}")
                place += len(line)
    except (OSError, EOFError, zlib.error) as error:
        yield _Line({}, f"{path}: cannot be read from byte {place} on: {type(error).__name__}: {in_a_line(error)}")


def _parsed(text: bytes, place: str) -> _Line:
    try:
        row = json.loads(text.decode())
    except (ValueError, RecursionError) as error:
        return _Line({}, f"{place} is no JSON: {in_a_line(error)}")
    if not isinstance(row, dict):
        return _Line({}, f"{place} is {type(row).__name__}; wanted an object")
    return _Line(row)
