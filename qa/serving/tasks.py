"""What a request asks -> the predictor's answers to it."""

from collections.abc import Sequence
from dataclasses import dataclass

from qa.inference.answers import Answer, PassageAnswer
from qa.inference.inputs import Row
from qa.inference.predictor import Predictor
from qa.serving.schema import Options

Results = list[list[Answer]] | list[PassageAnswer]


@dataclass(frozen=True, kw_only=True)
class AnswerTask:
    """Questions about texts."""

    rows: Sequence[Row]
    options: Options

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
        found = predictor(list(self.rows), **self.options.as_call())
        return [one if isinstance(one, list) else [one] for one in found]


@dataclass(frozen=True, kw_only=True)
class SearchTask:
    """A question about many passages."""

    question: str
    contexts: Sequence[str]
    options: Options

    @property
    def size(self) -> int:
        """Passages."""
        return len(self.contexts)

    @property
    def characters(self) -> int:
        """Of the passages."""
        return sum(map(len, self.contexts))

    def answer(self, predictor: Predictor) -> Results:
        """Return the best answers over all passages."""
        return predictor.search(self.question, self.contexts, **self.options.as_call())


Task = AnswerTask | SearchTask
