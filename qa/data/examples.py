"""Examples: load, take, drop impossible ones, fingerprint."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from uuid import uuid4

import datasets
import pyarrow as pa
import pyarrow.compute as pc

from qa.config import DataConfig, RunConfig
from qa.data.formats import ROWS_AT_ONCE, require_columns
from qa.data.sources import read_rows
from qa.data.validation import DataProblem, Sieve
from qa.errors import DataError, ExampleError

_SHOWN_PROBLEMS = 10
_ANSWERS = pa.struct([("text", pa.list_(pa.string())), ("answer_start", pa.list_(pa.int32()))])
_STRINGS = ("id", "title", "context", "question")
_SCHEMA = pa.schema([*((name, pa.string()) for name in _STRINGS), ("answers", _ANSWERS)])


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Validated examples of one source.

    `rows` has the string columns id, title, context, question and, if the source has references, answers
    {text: list of strings, answer_start: list of int32}, where `context[start:start + len(text)] == text` for each
    answer: offsets count Unicode code points, as Python and the SQuAD files do. An example without an answer is
    impossible; a source without references at all can only be predicted on.
    """

    rows: datasets.Dataset
    problems: tuple[DataProblem, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def has_references(self) -> bool:
        """Whether the source says what the answers are."""
        return "answers" in self.rows.column_names

    @property
    def has_impossible(self) -> bool:
        """Whether the references call some question unanswerable."""
        return self.has_references and not all(_answer_counts(self.rows))

    @cached_property
    def fingerprint(self) -> str:
        """Hash of ids, questions, contexts and answers in their order; the source's format and titles don't count."""
        digest = hashlib.sha256()
        for table in self.rows.with_format("arrow").iter(batch_size=ROWS_AT_ONCE):
            for row in table.to_pylist():
                content = (row["id"], row["question"], row["context"], row.get("answers"))
                digest.update(json.dumps(content, sort_keys=True).encode())
        return digest.hexdigest()


def load_examples(source: str, *, split: str, config: DataConfig) -> Examples:
    """Read and validate the examples of a source.

    `source` is `sample` (the embedded set), a hub id, or a path: nested SQuAD JSON, JSON rows, JSON Lines, CSV with
    answers as JSON (all these also gzipped), Parquet, or a folder. Ids are strings, or integers that become strings;
    a missing title becomes empty. Text is taken as it is: line ends, NUL and invisible characters count in offsets.
    If no row has answers, the source has no references. `config.on_bad_example` says what becomes of a bad row.

    Raises:
        ExampleError: a bad row, where these stop the run; or no row that is good.
        DataError: a source that can't be read, or has no rows or not the needed columns.
    """
    sieve = Sieve(config.on_bad_example)
    chunks = _chunks(read_rows(source, split=split, config=config), source)
    tables = [pa.Table.from_pylist(sieve.examples(chunk), schema=_SCHEMA) for chunk in chunks]
    if not tables:
        raise DataError(f"{source}: no rows; wanted at least one example")
    table, problems = pa.concat_tables(tables), sieve.problems
    if not sieve.has_references:
        table = table.drop_columns("answers")
    elif sieve.unanswered:
        table = table.filter(pc.is_valid(table["answers"]))
        problems = sorted(problems + sieve.unanswered, key=lambda problem: problem.row)
    if problems and config.on_bad_example == "error":
        raise ExampleError(f"{_report(problems, source)}\n(on-bad-example may be skip or repair)")
    if not table.num_rows:
        raise ExampleError(f"{_report(problems, source)}\n(no good example is left)")
    # random, as nothing is cached by it: datasets would pickle the whole table to hash it, at thrice its memory
    return Examples(rows=datasets.Dataset(table, fingerprint=uuid4().hex), problems=tuple(problems))


def load_training_examples(config: RunConfig) -> Examples:
    """Load the examples to train on: with references, with or without impossible ones, at most as many as asked.

    Raises:
        DataError: as `load_examples`, or the source has no references.
    """
    examples = load_examples(config.train_data, split=config.data.train_split, config=config.data)
    if not examples.has_references:
        raise DataError(f"{config.train_data} has no references: no column answers; wanted answers to train on")
    kept = examples if config.data.allow_impossible else drop_impossible(examples)
    return take(kept, config.max_train_examples)


def load_validation_examples(config: RunConfig) -> Examples | None:
    """Load the examples to evaluate, or only predict, on, at most as many as asked; None if the run has none."""
    if config.validation_data is None:
        return None
    examples = load_examples(config.validation_data, split=config.data.validation_split, config=config.data)
    return take(examples, config.max_validation_examples)


def drop_impossible(examples: Examples) -> Examples:
    """Return the examples that have an answer.

    Raises:
        DataError: there are no references, or none has an answer.
    """
    if not examples.has_references:
        raise DataError("the examples have no references: no column answers; wanted answers to train on")
    answered = [index for index, count in enumerate(_answer_counts(examples.rows)) if count]
    if not answered:
        raise DataError(f"none of the {len(examples)} examples has an answer; wanted some that are not impossible")
    return replace(examples, rows=examples.rows.select(answered))


def take(examples: Examples, maximum: int | None) -> Examples:
    """Return at most `maximum` examples, spread evenly over the set; none: all.

    Sets are stored article by article, so the first ones would be of a few articles only.
    """
    total = len(examples)
    if maximum is None or maximum >= total:
        return examples
    return replace(examples, rows=examples.rows.select([index * total // maximum for index in range(maximum)]))


def _answer_counts(rows: datasets.Dataset) -> list[int]:
    tables = rows.select_columns("answers").with_format("arrow").iter(batch_size=ROWS_AT_ONCE)
    return [n for table in tables for n in pc.list_value_length(pc.struct_field(table["answers"], "text")).to_pylist()]


def _chunks(rows: Iterator[object], source: str) -> Iterator[list[object]]:
    chunk = list(islice(rows, ROWS_AT_ONCE))
    objects = [row for row in chunk if isinstance(row, dict)]
    if objects:
        require_columns(dict.fromkeys(key for row in objects for key in row if row[key] is not None), source)
    while chunk:
        yield chunk
        chunk = list(islice(rows, ROWS_AT_ONCE))


def _report(problems: list[DataProblem], source: str) -> str:
    first = "\n".join(f"  {problem}" for problem in problems[:_SHOWN_PROBLEMS])
    shown = f", the first {_SHOWN_PROBLEMS}" if len(problems) > _SHOWN_PROBLEMS else ""
    return f"{source}: {len(problems)} bad examples{shown}:\n{first}"
