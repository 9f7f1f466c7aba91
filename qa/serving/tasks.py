"""What a request asks -> the predictor's answers to it, and what it notes of the texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

from qa.inference.answers import Answer, DocumentAnswer
from qa.inference.evidence import Evidence
from qa.inference.inputs import Row
from qa.inference.passages import SearchOptions
from qa.inference.predictor import Predictor
from qa.inference.remarks import Doubt, Remarks, RemarksOfCall
from qa.serving.schema import Asking, Document, Options

Found = list[list[Answer]] | list[DocumentAnswer] | list[list[Evidence]]


class Results(TypedDict):
    """Answers, and what a client should know of its texts."""

    results: Found
    unknown_tokens: dict[str, float]
    warnings: list[Doubt]


@dataclass(frozen=True, kw_only=True)
class AnswerTask:
    """Questions about texts."""

    rows: Sequence[Row]
    options: Asking

    @property
    def size(self) -> int:
        """Inputs."""
        return len(self.rows)

    @property
    def characters(self) -> int:
        """Of the texts."""
        return sum(len(row["context"]) for row in self.rows)

    def answer(self, predictor: Predictor) -> Results:
        """Return a list of answers for every input."""
        remarks = RemarksOfCall()
        found = predictor.telling(remarks.take)(list(self.rows), **self.options.as_call())
        return beside([one if isinstance(one, list) else [one] for one in found], remarks.all)


@dataclass(frozen=True, kw_only=True)
class SearchTask:
    """A question about many passages."""

    question: str
    contexts: Sequence[str | Document]
    options: Options
    lexical_weight: float | None = None
    prefilter: int | None = None

    @property
    def size(self) -> int:
        """Passages."""
        return len(self.contexts)

    @property
    def characters(self) -> int:
        """Of the passages."""
        return sum(len(one if isinstance(one, str) else one.text) for one in self.contexts)

    def answer(self, predictor: Predictor) -> Results:
        """Return the best answers over all passages."""
        remarks = RemarksOfCall()
        ranking = SearchOptions(lexical_weight=self.lexical_weight, prefilter=self.prefilter)
        passages = [one if isinstance(one, str) else one.model_dump() for one in self.contexts]
        found = predictor.telling(remarks.take).search(self.question, passages, **(ranking | self.options.as_call()))
        return beside(found, remarks.all)


Task = AnswerTask | SearchTask


def beside(found: Found, remarks: Remarks) -> Results:
    """Return answers with what was noted."""
    return Results(results=found, unknown_tokens=remarks.unknown.shares, warnings=remarks.doubts)
