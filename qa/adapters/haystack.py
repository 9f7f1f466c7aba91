"""haystack: a component in place of the `ExtractiveReader` that it had until version 2.

A saved pipeline is loaded by `Pipeline.loads(text, allowed_modules=["qa.adapters.haystack"])`.
"""

from collections.abc import Sequence
from typing import Any

from haystack import Document, component, default_from_dict, default_to_dict
from haystack.dataclasses import ExtractedAnswer

from qa.inference.answers import DocumentAnswer
from qa.inference.predictor import Predictor


@component
class ExtractiveReader:
    """Find the answers to a query in documents, best first; each is a stretch of a document's content."""

    def __init__(
        self,
        model: str,
        *,
        top_k: int = 5,
        overlap: float = 0.0,
        no_answer: bool | None = None,
        device: str | None = None,
        backend: str = "torch",
    ) -> None:
        """Name a reader; it is loaded when the pipeline warms up, or at the first run.

        Args:
            model: folder or hub id.
            top_k: most answers.
            overlap: largest share of an answer that it may have in common with a better one.
            no_answer: whether "no answer" takes part of the probability; None: as the reader was trained.
            device: where it runs; None: the accelerator if there is one.
            backend: what runs it; see `Predictor.from_pretrained`.

        """
        self.model, self.device, self.backend = model, device, backend
        self.top_k, self.overlap, self.no_answer = top_k, overlap, no_answer
        self._predictor: Predictor | None = None

    def warm_up(self) -> None:
        """Load the reader, once.

        Raises:
            ModelError: it does not load.

        """
        if self._predictor is None:
            self._predictor = Predictor.from_pretrained(self.model, device=self.device, backend=self.backend)

    @component.output_types(answers=list[ExtractedAnswer])
    def run(self, query: str, documents: list[Document], top_k: int | None = None) -> dict[str, list[ExtractedAnswer]]:
        """Answer a query; documents without text are left out.

        Args:
            query: the question.
            documents: where answers are looked for.
            top_k: most answers; None: the component's.

        Raises:
            ExampleError: a blank query.

        """
        self.warm_up()
        assert self._predictor is not None, "warmed up"
        texts = [document for document in documents if document.content and not document.content.isspace()]
        found = self._predictor.search(
            query, texts, top_k=self.top_k if top_k is None else top_k, overlap=self.overlap, no_answer=self.no_answer
        )
        return {"answers": [_extracted(query, texts, one) for one in found]}

    def to_dict(self) -> dict[str, Any]:
        """Return what a saved pipeline keeps."""
        names = ("model", "top_k", "overlap", "no_answer", "device", "backend")
        kept: dict[str, Any] = default_to_dict(self, **{name: getattr(self, name) for name in names})
        return kept

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "ExtractiveReader":
        """Make the component of a saved pipeline."""
        made: ExtractiveReader = default_from_dict(cls, data)
        return made


def _extracted(query: str, documents: Sequence[Document], found: DocumentAnswer) -> ExtractedAnswer:
    page = found.get("page")
    return ExtractedAnswer(
        query=query,
        score=found["score"],
        data=found["answer"],
        document=documents[found["passage"]],
        document_offset=ExtractedAnswer.Span(found["start"], found["end"]),
        meta={} if page is None else {"answer_page_number": page},
    )
