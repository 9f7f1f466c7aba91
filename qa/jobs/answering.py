"""Rows -> answers, or an error in the place of one; a reader that answers nothing ends the job."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Unpack, cast

from qa.errors import ConfigError, JobError, QAError, in_a_line
from qa.inference.inputs import Row, problem_of
from qa.inference.options import AnswerOptions, CallOptions
from qa.inference.predictor import Predictor
from qa.inference.records import Record, records_of
from qa.runtime.cores import use_model_threads

Told = dict[str, Any]
"""A `Record` and `error`, which is None; or None under every key and what is wrong."""

LONGEST = 1 << 23
"""Characters of a context: about two million tokens, at 100 bytes each while they are built."""
KEYS = tuple(name for name in Record.__annotations__ if name != "answers")
"""What is told of every row, in the order of the columns."""
_HARMLESS = {"question": "What is it?", "context": "It is a text."}
_OF_ROWS = (QAError, RuntimeError, ValueError, MemoryError)
"""What an input can make a model raise; also out of memory, which is a RuntimeError of torch."""


@dataclass(frozen=True, kw_only=True)
class ReaderSpec:
    """Which reader answers, and how: small, so that it can travel to the processes of an engine; each loads its own."""

    source: str
    device: str | None = None
    dtype: str | None = None
    revision: str | None = None
    backend: str = "torch"
    given: tuple[tuple[str, Any], ...] = ()
    """The call's options by name; see `CallOptions`."""

    @property
    def top_k(self) -> int:
        """Most answers to a row."""
        return int(dict(self.given).get("top_k", 1))

    def load(self) -> "Answering":
        """Return the reader, loaded once in this process, on its share of the cores.

        Raises:
            QAError: it does not load, does not answer, or does not have the options; see `Predictor.from_pretrained`.

        """
        return _loaded(self)


def reader_spec(
    source: str,
    *,
    device: str | None = None,
    dtype: str | None = None,
    revision: str | None = None,
    backend: str = "torch",
    **given: Unpack[CallOptions],
) -> ReaderSpec:
    """Return what names a reader and its options; see `Predictor.from_pretrained` and `CallOptions`.

    Raises:
        ConfigError: options of another kind of answers than one text for a row.

    """
    for name, wanted in (("score", "probability"), ("answers", "any")):
        if given.get(name, wanted) not in {wanted, None}:
            raise ConfigError(
                f"{name} is {given.get(name)!r}; wanted {wanted!r}, or none: a job has one kind of answers"
            )
    options = tuple(sorted((name, value) for name, value in given.items() if value is not None))
    return ReaderSpec(source=source, device=device, dtype=dtype, revision=revision, backend=backend, given=options)


@functools.lru_cache(maxsize=1)
def _loaded(spec: ReaderSpec) -> "Answering":
    if spec.backend == "torch":
        use_model_threads()
    predictor = Predictor.from_pretrained(
        spec.source, device=spec.device, dtype=spec.dtype, revision=spec.revision, backend=spec.backend
    )
    if predictor.settings.answers == "all" and "answers" not in dict(spec.given):
        raise ConfigError(
            f"{spec.source} was trained to find all answers, and a job writes the best ones; wanted answers='any'"
        )
    answering = Answering(predictor, predictor.options(**cast("CallOptions", dict(spec.given))))
    answering.require_answers()
    return answering


class Answering:
    """Answers rows, each for itself as far as errors go."""

    def __init__(self, predictor: Predictor, options: AnswerOptions) -> None:
        """Take a reader, and how it answers."""
        self._predictor, self.options = predictor, options

    def told(self, rows: Sequence[Row]) -> list[Told]:
        """Answer rows together; those that cannot be answered do not keep the others from it.

        Returns:
            One for every row, in order.

        Raises:
            QAError: the reader answers nothing any more.

        """
        problems = [_problem_of(row) for row in rows]
        found = iter(self._told([row for row, problem in zip(rows, problems, strict=True) if problem is None]))
        return [next(found) if problem is None else self.failed(problem) for problem in problems]

    def failed(self, problem: str) -> Told:
        """Return what is told of a row that is not answered."""
        keys = (*KEYS, "answers") if self.options.top_k > 1 else KEYS
        return {**dict.fromkeys(keys), "error": problem}

    def require_answers(self) -> None:
        """Check that the reader answers anything at all.

        Raises:
            JobError: it does not.

        """
        try:
            self._answered([_HARMLESS])
        except _OF_ROWS as error:
            raise JobError(f"the reader answers nothing: {type(error).__name__}: {in_a_line(error)}") from error

    def _told(self, rows: Sequence[Row]) -> list[Told]:
        """Answer rows; where that fails, each half by itself, down to the rows that fail."""
        try:
            return self._answered(rows)
        except _OF_ROWS as error:
            self.require_answers()
            if len(rows) == 1:
                return [self.failed(f"{type(error).__name__}: {in_a_line(error)}")]
        half = len(rows) // 2
        return self._told(rows[:half]) + self._told(rows[half:])

    def _answered(self, rows: Sequence[Row]) -> list[Told]:
        return [
            {**record, "error": None}
            for chunk, predictions in self._predictor.predictions(rows, self.options)
            for record in records_of([row["context"] for row in chunk], predictions, self.options)
        ]


def _problem_of(row: Row) -> str | None:
    problem = problem_of(row)
    if problem is None and len(row["context"]) > LONGEST:
        return f"context has {len(row['context'])} characters; wanted at most {LONGEST}: cut it into several rows"
    return problem
