"""Examples -> a file: SQuAD's nested JSON, JSON Lines or Parquet, written as they come."""

import gzip
import json
from collections.abc import Callable, Iterable, Iterator
from io import BufferedIOBase
from itertools import groupby
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from qa.errors import UsageError
from qa.files import whole_file

_Writer = Callable[[Iterator[pa.Table], BufferedIOBase], None]
_COLUMNS = ("id", "title", "context", "question", "answers")


def known_format(path: Path) -> str:
    """Return how a file is written, by the ending of its name.

    `.json` (SQuAD v2.0, nested: title and context of neighbours are written once), `.jsonl` or `.ndjson` (a row a
    line), both also with `.gz`, or `.parquet`.

    Raises:
        UsageError: another ending.

    """
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    ending = "".join(suffixes[-2:] if suffixes[-1:] == [".gz"] else suffixes[-1:])
    if ending not in _WRITERS:
        raise UsageError(
            f"{path}: no format to write; wanted a name that ends in .json, .jsonl, .parquet or .json(l).gz"
        )
    return ending


def write_examples(tables: Iterable[pa.Table], path: Path) -> int:
    """Write tables of examples to a file that appears whole or not at all, as its name says; return their number.

    Raises:
        UsageError: a name without a known format.
        StorageError: the file cannot be written.

    """
    form = known_format(path)
    with whole_file(path) as file:
        return write_examples_into(tables, cast("BufferedIOBase", file.buffer), form)


def write_examples_into(tables: Iterable[pa.Table], file: BufferedIOBase, form: str) -> int:
    """Write tables of examples to an open file in a format of `known_format`; return their number."""
    counter = _Counter(tables)
    _WRITERS[form](iter(counter), file)
    return counter.examples


class _Counter:
    def __init__(self, tables: Iterable[pa.Table]) -> None:
        self._tables, self.examples = tables, 0

    def __iter__(self) -> Iterator[pa.Table]:
        for table in self._tables:
            self.examples += table.num_rows
            yield table


def _rows(tables: Iterable[pa.Table]) -> Iterator[dict[str, Any]]:
    for table in tables:
        yield from table.to_pylist()


def _write_parquet(tables: Iterator[pa.Table], file: BufferedIOBase) -> None:
    first = next(tables)
    with pq.ParquetWriter(file, first.schema) as writer:
        writer.write_table(first)
        for table in tables:
            if table.num_rows:
                writer.write_table(table)


def _write_lines(tables: Iterator[pa.Table], file: BufferedIOBase) -> None:
    file.writelines(_json({name: row[name] for name in _COLUMNS if name in row}) + b"\n" for row in _rows(tables))


def _write_squad(tables: Iterator[pa.Table], file: BufferedIOBase) -> None:
    """Write the articles one a line, so that neither writer nor reader needs all of them at once."""
    file.write(b'{"version": "v2.0", "data": [')
    for index, (title, rows) in enumerate(groupby(_rows(tables), key=lambda row: str(row["title"]))):
        file.write(b",\n" if index else b"\n")
        file.write(b'{"title": ' + _json(title) + b', "paragraphs": [')
        for number, (context, questions) in enumerate(groupby(rows, key=lambda row: str(row["context"]))):
            paragraph = {"context": context, "qas": [_question(row) for row in questions]}
            file.write((b", " if number else b"") + _json(paragraph))
        file.write(b"]}")
    file.write(b"\n]}\n")


def _question(row: dict[str, Any]) -> dict[str, Any]:
    question = {"id": row["id"], "question": row["question"]}
    if "answers" not in row:
        return question
    pairs = zip(row["answers"]["text"], row["answers"]["answer_start"], strict=True)
    answers = [{"text": text, "answer_start": start} for text, start in pairs]
    return {**question, "answers": answers, "is_impossible": not answers}


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _into_gzip(write: _Writer) -> _Writer:
    def write_packed(tables: Iterator[pa.Table], file: BufferedIOBase) -> None:
        with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:  # no clock: the same bytes
            write(tables, packed)

    return write_packed


_WRITERS: dict[str, _Writer] = {
    ".json": _write_squad,
    ".jsonl": _write_lines,
    ".ndjson": _write_lines,
    ".json.gz": _into_gzip(_write_squad),
    ".jsonl.gz": _into_gzip(_write_lines),
    ".parquet": _write_parquet,
}
