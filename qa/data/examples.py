"""Examples: load, take, drop impossible ones, fingerprint."""

import hashlib
import html
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from uuid import uuid4

import datasets
import pyarrow as pa
import pyarrow.compute as pc

from qa.config import DataConfig, OnBadExample
from qa.data.problems import DataProblem
from qa.data.references import Purpose
from qa.data.sieve import ROWS_AT_ONCE, Sieve
from qa.data.sources import read_rows
from qa.errors import DataError, ExampleError
from qa.representations import Markup, html_table, marked

_SHOWN_PROBLEMS = 10
_SHOWN_ROWS = 5


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Validated examples of one source.

    `rows` has the string columns id, title, context, question and, if the source has references, answers
    {text: list of strings, answer_start: list of int32}, where `context[start:start + len(text)] == text` for each
    answer: offsets count Unicode code points, as Python and the SQuAD files do. A reference whose `answer_start` is -1
    has no place in the context: its text counts for scores, and nothing is trained on it; those with a place come
    first. An example without an answer is impossible; a source without references at all can only be predicted on.
    """

    rows: datasets.Dataset
    problems: tuple[DataProblem, ...] = ()
    notes: tuple[str, ...] = ()
    """What a user should know of the source as a whole, such as where its answers were found."""
    hashed: tuple[datasets.Dataset, str] | None = field(default=None, repr=False, compare=False)
    """Rows whose fingerprint is known, and that; other rows are hashed when theirs is asked for."""

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        told = f", {answer_counts(self.rows).count(0)} without an answer" if self.has_references else ""
        return f"Examples({len(self)} examples{told}, {len(self.problems)} problems)"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(repr(self))}</p>{html_table(('question', 'context'), _shown_rows(self.rows))}"

    @property
    def has_references(self) -> bool:
        """Whether the source says what the answers are."""
        return "answers" in self.rows.column_names

    @property
    def has_impossible(self) -> bool:
        """Whether the references call some question unanswerable."""
        return self.has_references and not all(answer_counts(self.rows))

    @cached_property
    def fingerprint(self) -> str:
        """Hash of ids, questions, contexts and answers in their order; the source's format and titles don't count."""
        if self.hashed is not None and self.hashed[0] is self.rows:
            return self.hashed[1]
        digest = hashlib.sha256()
        for table in self.rows.with_format("arrow").iter(batch_size=ROWS_AT_ONCE):
            for row in table.to_pylist():
                content = (row["id"], row["question"], row["context"], row.get("answers"))
                digest.update(json.dumps(content, sort_keys=True).encode())
        return digest.hexdigest()


def load_examples(
    source: str, *, split: str, config: DataConfig, purpose: Purpose = "spans", own_split: bool = False
) -> Examples:
    """Read and validate the examples of a source.

    `source` is `sample` (the embedded set), a hub id, or a path to any of `qa.data.formats.ACCEPTED`. Ids are strings,
    or integers that become strings; where no row has one they are made. A missing title becomes empty. Text is taken as
    it is: line ends, NUL and invisible characters count in offsets. If no row has answers, the source has no
    references. `config.on_bad_example` says what becomes of a bad row; `purpose`, whether references need places;
    `own_split`, whether a file that has no splits is refused.

    Raises:
        ExampleError: a bad row, where these stop the run; or no row that is good.
        SplitError: no such split.
        DataError: a source that can't be read, or has no rows or not the needed columns.
    """
    sieve = Sieve(source, config.on_bad_example, purpose)
    tables = list(sieve.tables(read_rows(source, split=split, config=config, own_split=own_split)))
    table = pa.concat_tables(list(sieve.all_settled(tables)))
    problems = good_problems(sieve, left=table.num_rows)
    # random, as nothing is cached by it: datasets would pickle the whole table to hash it, at thrice its memory
    rows = datasets.Dataset(table, fingerprint=uuid4().hex)
    return Examples(rows=rows, problems=problems, notes=tuple(sieve.notes))


def good_problems(sieve: Sieve, *, left: int) -> tuple[DataProblem, ...]:
    """Return the problems of all rows, in their order, with as many examples left.

    Raises:
        ExampleError: see `require_good`.
    """
    problems = sorted(sieve.problems, key=lambda problem: problem.row)
    require_good(problems, sieve.source, sieve.on_bad_example, left=left, notes=sieve.notes)
    return tuple(problems)


def require_good(
    problems: Sequence[DataProblem], source: str, on_bad_example: OnBadExample, *, left: int, notes: Sequence[str]
) -> None:
    """Check that no bad row stops the run, and that a good one is left.

    Raises:
        ExampleError: with the first problems.
    """
    told = "".join(f"\n({note})" for note in notes)
    if on_bad_example == "error":
        problems = [problem for problem in problems if problem.action == "stopped"]
        if problems:
            raise ExampleError(f"{_report(problems, source)}{told}\n(on-bad-example may be skip or repair)")
    if not left:
        raise ExampleError(f"{_report(problems, source)}{told}\n(no good example is left)")


def drop_impossible(examples: Examples) -> Examples:
    """Return the examples that have an answer.

    Raises:
        DataError: there are no references, or none has an answer.
    """
    if not examples.has_references:
        raise DataError("the examples have no references: no column answers; wanted answers to train on")
    answered = [index for index, count in enumerate(answer_counts(examples.rows)) if count]
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


def answer_counts(rows: datasets.Dataset) -> list[int]:
    """Return how many references each example has."""
    tables = rows.select_columns("answers").with_format("arrow").iter(batch_size=ROWS_AT_ONCE)
    return [n for table in tables for n in pc.list_value_length(pc.struct_field(table["answers"], "text")).to_pylist()]


def _shown_rows(rows: datasets.Dataset) -> Iterator[tuple[str, Markup]]:
    """Yield the first questions with their contexts, in which the first answer is marked."""
    for row in rows.select(range(min(_SHOWN_ROWS, len(rows)))):
        answers = row.get("answers") or {"text": [], "answer_start": []}
        places = [
            (start, start + len(text)) for start, text in zip(answers["answer_start"], answers["text"], strict=True)
        ]
        start, end = next((place for place in places if place[0] >= 0), (0, 0))
        yield row["question"], marked(row["context"], start, end)


def _report(problems: Sequence[DataProblem], source: str) -> str:
    first = "\n".join(f"  {problem}" for problem in problems[:_SHOWN_PROBLEMS])
    shown = f", the first {_SHOWN_PROBLEMS}" if len(problems) > _SHOWN_PROBLEMS else ""
    return f"{source}: {len(problems)} bad examples{shown}:\n{first}"
