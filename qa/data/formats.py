"""One file -> raw rows, unchecked; its format is found from its content, never from its name."""

import csv
import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from qa.errors import DataError

COLUMNS = ("id", "title", "context", "question", "answers")
REQUIRED_COLUMNS = ("id", "context", "question")
ROWS_AT_ONCE = 1_000  # 100 MB where contexts have 100,000 characters
_ACCEPTED = (
    "nested SQuAD JSON, a JSON list of rows, JSON Lines, comma-separated CSV whose first line names the columns "
    "(any of these in UTF-8, also gzipped), Parquet, and a folder from save_to_disk or with a file per split"
)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UNREADABLE = (OSError, EOFError, ValueError, zlib.error, csv.Error, pa.ArrowException)


def read_file(path: Path) -> Iterator[object]:
    """Yield the rows of a file as its parser builds them.

    Raises:
        DataError: an empty or damaged file, an unknown format, or columns that are missing.

    """
    with damage_named(path):
        yield from _parser(path)(path)


def require_columns(found: Iterable[str], source: object) -> None:
    """Raise DataError, with the names found and wanted, unless all required columns are among `found`."""
    names = list(found)
    missing = [column for column in REQUIRED_COLUMNS if column not in names]
    if missing:
        raise DataError(
            f"{source}: no column {', '.join(missing)}; found {names!a}; "
            f"wanted {', '.join(REQUIRED_COLUMNS)}, and answers where there are references"
        )


@contextmanager
def damage_named(source: object) -> Iterator[None]:
    """Turn what a reading library raises into a DataError that names the source."""
    try:
        yield
    except _UNREADABLE as error:
        raise DataError(f"{source}: cannot be read: {type(error).__name__}: {error}") from error


def _opened(path: Path) -> gzip.GzipFile | BufferedReader:
    with path.open("rb") as file:
        gzipped = file.read(2) == b"\x1f\x8b"
    return gzip.open(path) if gzipped else path.open("rb")


def _parser(path: Path) -> Callable[[Path], Iterator[object]]:
    with _opened(path) as file:
        start = file.read(1 << 16).removeprefix(_BYTE_ORDER_MARK).lstrip()
    if not start:
        raise DataError(f"{path}: the file is empty; accepted are {_ACCEPTED}")
    if start.startswith(b"PAR1"):
        return _parquet_rows
    if start.startswith((b"{", b"[")):
        return _json_line_rows if _has_json_lines(path) else _json_document_rows
    if _names_columns(start.splitlines()[0]):
        return _csv_rows
    raise DataError(f"{path}: unknown format, starting with {start[:40]!r}; accepted are {_ACCEPTED}")


def _names_columns(first_line: bytes) -> bool:
    return not set(COLUMNS).isdisjoint(next(csv.reader([first_line.decode("utf-8", "replace")])))


def _parquet_rows(path: Path) -> Iterator[object]:
    with _opened(path) as file:
        parquet = pq.ParquetFile(file)
        require_columns(parquet.schema_arrow.names, path)
        known = [column for column in COLUMNS if column in parquet.schema_arrow.names]
        for batch in parquet.iter_batches(batch_size=ROWS_AT_ONCE, columns=known):
            yield from batch.to_pylist()


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line number, from 1, and text, split at line feeds only: a carriage return counts in answer offsets."""
    with _opened(path) as file:
        for number, line in enumerate(file, start=1):
            try:
                yield number, line.removeprefix(_BYTE_ORDER_MARK if number == 1 else b"").decode()
            except UnicodeDecodeError as error:
                raise DataError(f"{path}: line {number}, byte {error.start} is not UTF-8: {error.reason}") from error


def _csv_rows(path: Path) -> Iterator[object]:
    csv.field_size_limit(2**31 - 1)  # the default of 131,072 characters is shorter than some contexts
    cells = csv.reader((line for _, line in _lines(path)), strict=True)
    try:
        names = next(cells)
        require_columns(names, path)
        for row in filter(None, cells):  # blank lines hold no cells
            if len(row) != len(names):
                raise DataError(f"{path}: line {cells.line_num}: found {len(row)} cells; wanted {len(names)}")
            yield _with_parsed_answers(dict(zip(names, row, strict=True)))
    except csv.Error as error:
        raise DataError(f"{path}: line {cells.line_num} is not CSV: {error}") from error


def _with_parsed_answers(row: dict[str, str]) -> dict[str, Any]:
    """Parse the JSON of the answers cell; what is no JSON stays a string, which no answers may be."""
    cell = row.get("answers")
    if cell is None:
        return dict(row)
    try:
        return {**row, "answers": json.loads(cell) if cell else None}
    except (ValueError, RecursionError):
        return dict(row)


def _has_json_lines(path: Path) -> bool:
    """Whether a second object follows a first line that is an object, which no JSON document can have."""
    lines = [line.strip() for _, line in islice(((n, line) for n, line in _lines(path) if line.strip()), 2)]
    return len(lines) == 2 and lines[0].startswith("{") and lines[0].endswith("}") and lines[1].startswith("{")


def _json_line_rows(path: Path) -> Iterator[object]:
    for number, line in _lines(path):
        if line.strip():
            yield _parsed(line.rstrip(), path, first_line=number)


def _json_document_rows(path: Path) -> Iterator[object]:
    document = _parsed("".join(line for _, line in _lines(path)), path)
    rows = document.get("data", document) if isinstance(document, dict) else document
    rows = [rows] if isinstance(rows, dict) else rows  # a JSON Lines file of one line
    if not isinstance(rows, list):
        raise DataError(f"{path}: data is of type {type(rows).__name__}; wanted a list")
    nested = any(isinstance(row, dict) and "paragraphs" in row for row in rows)
    yield from _nested_rows(rows, path) if nested else rows


def _parsed(text: str, path: Path, *, first_line: int = 1) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        raise DataError(f"{path}: line {line}, column {error.colno} is not JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:  # a number of too many digits, too many brackets
        raise DataError(f"{path}: JSON from line {first_line} cannot be read: {error}") from error


def _nested_rows(articles: list[Any], path: Path) -> Iterator[dict[str, Any]]:
    """Yield a row per question of SQuAD's data / paragraphs / qas; of an impossible one, without answers."""
    for article, place in _objects({"data": articles}, "data", f"{path}: "):
        for paragraph, inner_place in _objects(article, "paragraphs", f"{place}."):
            for question, _ in _objects(paragraph, "qas", f"{inner_place}."):
                answers = [] if question.get("is_impossible") else question.get("answers")
                shared = {"title": article.get("title"), "context": paragraph.get("context")}
                yield {**shared, "id": question.get("id"), "question": question.get("question"), "answers": answers}


def _objects(parent: dict[str, Any], key: str, place: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield the objects of the list `parent[key]`, each with its place in the file."""
    children = parent.get(key)
    if not isinstance(children, list):
        raise DataError(f"{place}{key} is of type {type(children).__name__}; wanted a list")
    for index, child in enumerate(children):
        if not isinstance(child, dict):
            raise DataError(f"{place}{key}[{index}] is of type {type(child).__name__}; wanted an object")
        yield child, f"{place}{key}[{index}]"
