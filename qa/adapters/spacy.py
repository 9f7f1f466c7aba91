"""spaCy: a pipeline component that answers questions about every doc.

nlp.add_pipe("qa_reader", config={"model": "runs/mine/model", "questions": {"founder": "Who founded it?"}})
doc = nlp(text)
doc.spans["qa"]  # spans with the question's name as label and `span._.qa_score`
"""

import inspect
from collections.abc import Iterable, Iterator, Mapping

from spacy.language import Language
from spacy.tokens import Doc, Span

from qa.inference.answers import Answer
from qa.inference.predictor import Predictor, predictor_of

KEY = "qa"
"""Of the doc's span groups."""
SCORE = "qa_score"
"""Extension of spans: the answer's probability."""


class Reader:
    """Answers the same questions about every doc; answers grow to whole tokens."""

    def __init__(self, predictor: object, questions: Mapping[str, str], *, min_score: float) -> None:
        """Take a reader or a pipeline of it, questions by name, and the least probability of an answer.

        Raises:
            ModelError: no reader.

        """
        self.predictor, self.questions, self.min_score = predictor_of(predictor), dict(questions), min_score
        if not Span.has_extension(SCORE):
            Span.set_extension(SCORE, default=None)

    def __call__(self, doc: Doc) -> Doc:
        """Add the answers to a doc."""
        return next(self.pipe([doc]))

    def pipe(self, stream: Iterable[Doc], batch_size: int = 32) -> Iterator[Doc]:
        """Add the answers to docs, many at a time; a doc without text has none."""
        for docs in _batches(stream, batch_size):
            asked = [(doc, name) for doc in docs if doc.text.strip() for name in self.questions]
            rows = [{"question": self.questions[name], "context": doc.text} for doc, name in asked]
            spans: dict[int, list[Span]] = {id(doc): [] for doc in docs}
            for (doc, name), answer in zip(asked, self.predictor(rows, answers="any"), strict=True):
                spans[id(doc)] += self._spans(doc, name, answer)
            for doc in docs:
                doc.spans[KEY] = spans[id(doc)]
                yield doc

    def _spans(self, doc: Doc, name: str, answer: Answer) -> list[Span]:
        if not answer["answer"] or answer["score"] < self.min_score:
            return []
        span = doc.char_span(answer["start"], answer["end"], label=name, alignment_mode="expand")
        assert span is not None, "answers lie inside of the text"
        span._.set(SCORE, answer["score"])
        return [span]


def make_reader(
    nlp: Language,  # noqa: ARG001  # factories get it by name
    name: str,  # noqa: ARG001
    model: str,
    questions: dict[str, str],
    min_score: float,
    device: str | None,
    backend: str,
) -> Reader:
    """Make the component of a pipeline's configuration."""
    return Reader(Predictor.from_pretrained(model, device=device, backend=backend), questions, min_score=min_score)


vars(make_reader)["__signature__"] = inspect.signature(make_reader)  # spaCy looks through no decorator for it
Language.factory("qa_reader", default_config={"questions": {}, "min_score": 0.0, "device": None, "backend": "torch"})(
    make_reader
)


def _batches(stream: Iterable[Doc], size: int) -> Iterator[list[Doc]]:
    batch: list[Doc] = []
    for doc in stream:
        batch.append(doc)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
