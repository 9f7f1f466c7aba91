"""Source → validated examples in SQuAD's columns, with a report of every row that broke the rules."""

import hashlib
import json
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import datasets
import pyarrow as pa
import pyarrow.compute as pc

from qa.config import DataConfig, OnBadExample, RunConfig
from qa.errors import DataError, ExampleError
from qa.files import write_whole
from qa.sources import ROWS_AT_ONCE, read_rows, require_columns

_SHOWN_PROBLEMS = 10
Action = Literal["stopped", "skipped", "repaired"]
_ANSWERS = pa.struct([("text", pa.list_(pa.string())), ("answer_start", pa.list_(pa.int32()))])
_STRINGS = ("id", "title", "context", "question")
_SCHEMA = pa.schema([*((name, pa.string()) for name in _STRINGS), ("answers", _ANSWERS)])

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80


@dataclass(frozen=True, kw_only=True, slots=True)
class DataProblem:
    """What was wrong with one row, and what was done about it; `row` counts from 0 in the order of the source."""

    row: int
    id: str
    kind: str
    found: str
    wanted: str
    action: Action

    def __str__(self) -> str:
        return f"row {self.row}, id {self.id!r}: {self.kind}: found {self.found}; wanted {self.wanted}"


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
    sieve = _Sieve(config.on_bad_example)
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


def write_problems(problems: Mapping[str, Iterable[DataProblem]], path: Path) -> None:
    """Write the problems of each split to `path` as JSON Lines, whole or not at all; without any, the file is empty."""
    rows = [{"split": split, **asdict(problem)} for split, found in problems.items() for problem in found]
    # ASCII only (json's default): an id may hold a lone surrogate, which UTF-8 cannot
    write_whole(path, "".join(f"{json.dumps(row)}\n" for row in rows))


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


# What makes a row an example


class _BadRowError(Exception):
    """The first rule that a row breaks."""

    def __init__(self, kind: str, *, found: str, wanted: str) -> None:
        super().__init__(kind)
        self.kind, self.found, self.wanted = kind, found, wanted


@dataclass
class _Sieve:
    """Lets good rows through, chunk by chunk, and keeps what was wrong with the others."""

    on_bad_example: OnBadExample
    problems: list[DataProblem] = field(default_factory=list)
    unanswered: list[DataProblem] = field(default_factory=list)  # problems only if other rows have answers
    has_references: bool = False
    row: int = 0
    row_of_id: dict[str, int] = field(default_factory=dict)

    @property
    def _dropped(self) -> Action:
        return "stopped" if self.on_bad_example == "error" else "skipped"

    def examples(self, raw_rows: list[object]) -> list[dict[str, Any]]:
        """Return the examples of the rows that are good or could be repaired."""
        found = [self._example(raw) for raw in raw_rows]
        return [example for example in found if example is not None]

    def _example(self, raw: object) -> dict[str, Any] | None:
        row, self.row = self.row, self.row + 1
        answers = raw.get("answers") if isinstance(raw, dict) else None
        self.has_references |= answers is not None
        try:
            example = self._checked(raw)
            moves = _fit_answers(example, answers, repair=self.on_bad_example == "repair")
        except _BadRowError as bad:
            self.problems.append(_problem(bad, row, raw, self._dropped))
            return None
        self.problems.extend(_problem(move, row, raw, "repaired") for move in moves)
        self.row_of_id[example["id"]] = row
        if answers is None:
            wanted = "answers, as other rows have them; an empty list if impossible"
            none = _BadRowError("no answers", found="none", wanted=wanted)
            self.unanswered.append(_problem(none, row, raw, self._dropped))
        return example

    def _checked(self, raw: object) -> dict[str, Any]:
        if not isinstance(raw, dict):
            raise _BadRowError("row of wrong type", found=_shown(raw), wanted="an object with id, context and question")
        example = {"id": _id(raw.get("id")), "title": _title(raw.get("title"))}
        example |= {name: _filled(_string(raw.get(name), name), name) for name in ("context", "question")}
        other = self.row_of_id.get(example["id"])
        if other is not None:
            raise _BadRowError("duplicate id", found=f"the id of row {other}", wanted="an id of its own")
        return example


def _problem(bad: _BadRowError, row: int, raw: object, action: Action) -> DataProblem:
    found_id = raw.get("id") if isinstance(raw, dict) else None
    example_id = str(found_id) if isinstance(found_id, str | int) else ""
    return DataProblem(row=row, id=example_id, kind=bad.kind, found=bad.found, wanted=bad.wanted, action=action)


def _shown(value: object) -> str:
    return _SHORT.repr(value)


def _id(value: object) -> str:
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    return _filled(_string(str(value) if is_integer else value, "id"), "id")


def _title(value: object) -> str:
    return "" if value is None else _string(value, "title")


def _string(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise _BadRowError(f"{name} of wrong type", found=_shown(value), wanted="a string")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        found = f"a lone surrogate at character {error.start}"
        raise _BadRowError(f"{name} not encodable", found=found, wanted="text that UTF-8 can hold") from error
    return value


def _filled(text: str, name: str) -> str:
    if not text or text.isspace():
        raise _BadRowError(f"{name} blank", found=_shown(text), wanted="text")
    return text


def _fit_answers(example: dict[str, Any], answers: object, *, repair: bool) -> list[_BadRowError]:
    """Put the checked answers into `example`; return what was wrong with those that had to be moved."""
    moves: list[_BadRowError] = []
    example["answers"] = None
    if answers is None:
        return moves
    pairs = _pairs(answers)
    for index, (text, start) in enumerate(pairs):
        try:
            _check_answer(example["context"], text, start)
        except _BadRowError as bad:
            place = _nearest(example["context"], text, start) if repair else None
            if place is None:
                raise
            pairs[index] = (text, place)
            moves.append(bad)
    example["answers"] = {"text": [text for text, _ in pairs], "answer_start": [start for _, start in pairs]}
    return moves


def _pairs(answers: object) -> list[tuple[Any, Any]]:
    """Return (text, start) pairs of either layout, {"text": […], "answer_start": […]} or [{"text", "answer_start"}]."""
    if isinstance(answers, list) and all(isinstance(answer, dict) for answer in answers):
        return [(answer.get("text"), answer.get("answer_start")) for answer in answers]
    columns = answers if isinstance(answers, dict) else {}
    texts, starts = columns.get("text"), columns.get("answer_start")
    if not (isinstance(texts, list) and isinstance(starts, list)):
        wanted = "lists text and answer_start, or a list of objects with these"
        raise _BadRowError("answers of wrong type", found=_shown(answers), wanted=wanted)
    if len(texts) != len(starts):
        found = f"{len(texts)} text and {len(starts)} answer_start"
        raise _BadRowError("answers of mixed lengths", found=found, wanted="as many of one as of the other")
    return list(zip(texts, starts, strict=True))


def _check_answer(context: str, text: object, start: object) -> None:
    text = _filled(_string(text, "answer text"), "answer text")
    if not isinstance(start, int) or isinstance(start, bool):
        raise _BadRowError("answer_start of wrong type", found=_shown(start), wanted="an integer")
    if start < 0 or start + len(text) > len(context):
        place = f"{_shown(text)} at character {start}"
        raise _BadRowError("answer outside the context", found=place, wanted=f"characters 0 to {len(context)}")
    if not context.startswith(text, start):
        found, wanted = _shown(context[start : start + len(text)]), f"{_shown(text)} at character {start}"
        raise _BadRowError("answer not at its offset", found=found, wanted=wanted)


def _nearest(context: str, text: object, start: object) -> int | None:
    """Return where `text` occurs nearest to `start`; where it occurs only once if `start` is no number; else none."""
    if not isinstance(text, str) or not text or text.isspace():
        return None
    if not isinstance(start, int) or isinstance(start, bool):
        first = context.find(text)
        return first if first >= 0 and first == context.rfind(text) else None
    ahead, end = context.find(text, max(start, 0)), max(start, 0) + len(text)
    places = [place for place in (context.rfind(text, 0, end), ahead) if place >= 0]
    return min(places, key=lambda place: abs(place - start), default=None)
