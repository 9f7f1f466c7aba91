"""One file -> raw rows, unchecked; its format is found from its content, never from its name."""

import csv
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from qa.data.columns import missing_columns
from qa.data.csv_tables import separator_of, table_rows
from qa.data.names import known_name, looks_like_labels
from qa.data.shapes import document_rows, has_splits, value_rows
from qa.data.text_files import lines, opened, start_of
from qa.errors import DataError

ROWS_AT_ONCE = 1_000
ACCEPTED = (
    "SQuAD JSON, nested or in rows, MRQA and the exports of annotation tools, as a document or as JSON Lines; CSV with "
    "commas, semicolons or tabs, whose first line names the columns (any of these in UTF-8 or UTF-16, also gzipped); "
    "Parquet; and a folder from save_to_disk or with a file per split"
)
_NESTING = frozenset(("paragraphs", "qas"))
_UNREADABLE = (OSError, EOFError, ValueError, zlib.error, csv.Error, pa.ArrowException)


def read_file(path: Path, split: str | None = None) -> Iterator[object]:
    """Yield the rows of a file as its parser builds them.

    `split` counts in a JSON object that has a part for each.

    Raises:
        DataError: an empty or damaged file, an unknown format, or columns that are missing.
        SplitError: a file of several splits, and none of that name.

    """
    with damage_named(path):
        parser = _parser(path)
        if parser is None:
            raise DataError(f"{path}: {_unknown(start_of(path))}; accepted are {ACCEPTED}")
        yield from parser(path, split)


def is_data(path: Path) -> bool:
    """Tell whether a file's first bytes are those of a known format."""
    with damage_named(path):
        return _parser(path) is not None


def splits_itself(path: Path) -> bool:
    """Tell a JSON file that holds an object with a part for each split."""
    with damage_named(path):
        return _parser(path) is _json_document_rows and has_splits(_document(path))


def columns_to_read(names: Iterable[str], source: object) -> list[str]:
    """Return the columns that are read, or that should be missed, of those that a table has.

    Raises:
        DataError: columns that are needed are not there.

    """
    names = list(names)
    missing = [] if _NESTING.intersection(names) else missing_columns(names)
    if missing:
        raise DataError(
            f"{source}: no column {', '.join(missing)}; found {names!a}; wanted id, context, question, and answers "
            "where there are references"
        )
    return [name for name in names if known_name(name) or looks_like_labels(name) or name in _NESTING]


@contextmanager
def damage_named(source: object) -> Iterator[None]:
    """Turn what a reading library raises into a DataError that names the source."""
    try:
        yield
    except _UNREADABLE as error:
        raise DataError(f"{source}: cannot be read: {type(error).__name__}: {error}") from error


def _parser(path: Path) -> Callable[[Path, str | None], Iterator[object]] | None:
    start = start_of(path)
    if start.startswith(b"PAR1"):
        return _parquet_rows
    if start.startswith((b"{", b"[")):
        return _json_line_rows if _has_json_lines(path) else _json_document_rows
    first_line = start.decode("utf-8", "replace").splitlines()[:1]
    return _table_rows if first_line and separator_of(first_line[0]) else None


def _unknown(start: bytes) -> str:
    return f"unknown format, starting with {start[:40]!r}" if start else "the file is empty"


def _parquet_rows(path: Path, _: str | None) -> Iterator[object]:
    with opened(path) as file:
        parquet = pq.ParquetFile(file)
        columns = columns_to_read(parquet.schema_arrow.names, path)
        for batch in parquet.iter_batches(batch_size=ROWS_AT_ONCE, columns=columns):
            for row in batch.to_pylist():
                yield from value_rows(row, f"{path}: ")


def _table_rows(path: Path, _: str | None) -> Iterator[object]:
    yield from table_rows(path)


def _has_json_lines(path: Path) -> bool:
    """Whether a second object follows a first line that is an object, which no JSON document can have."""
    first = [line.strip() for _, line in islice(((n, line) for n, line in lines(path) if line.strip()), 2)]
    return len(first) == 2 and first[0].startswith("{") and first[0].endswith("}") and first[1].startswith("{")


def _json_line_rows(path: Path, _: str | None) -> Iterator[object]:
    for number, line in lines(path):
        if line.strip():
            yield from value_rows(_parsed(line.rstrip(), path, first_line=number), f"{path}: line {number}")


def _json_document_rows(path: Path, split: str | None) -> Iterator[object]:
    yield from document_rows(_document(path), f"{path}: ", split)


def _document(path: Path) -> object:
    return _parsed("".join(line for _, line in lines(path)), path)


def _parsed(text: str, path: Path, *, first_line: int = 1) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        raise DataError(f"{path}: line {line}, column {error.colno} is not JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:  # a number of too many digits, too many brackets
        raise DataError(f"{path}: JSON from line {first_line} cannot be read: {error}") from error
