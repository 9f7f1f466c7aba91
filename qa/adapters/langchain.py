"""LangChain: a compressor that keeps what of retrieved documents answers a query, and a runnable that answers."""

from collections.abc import Sequence
from typing import Any

from langchain_core.callbacks import Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.runnables import Runnable, RunnableLambda
from pydantic import ConfigDict, SkipValidation

from qa.inference.answers import DocumentAnswer
from qa.inference.predictor import Predictor, predictor_of


class EvidenceCompressor(BaseDocumentCompressor):
    """Keep the stretches of documents that answer the query, as documents, the surest first.

    Each has its document's id and metadata, and `start_index`, `end_index`, `relevance_score` and, where it is known,
    `page`; documents without any are dropped.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    predictor: SkipValidation[Predictor]
    min_score: float = 0.5
    merge_gap: int = 0
    min_chars: int = 1
    sentences: bool = True
    top_k: int = 5
    """Spans of a document, before they are joined."""

    def compress_documents(
        self,
        documents: Sequence[Document],
        query: str,
        callbacks: Callbacks | None = None,  # noqa: ARG002  # nothing here reports
    ) -> Sequence[Document]:
        """Return the evidence; see `Predictor.evidence`."""
        texts = [document for document in documents if document.page_content.strip()]
        found = predictor_of(self.predictor).evidence(
            query,
            texts,
            min_score=self.min_score,
            merge_gap=self.merge_gap,
            min_chars=self.min_chars,
            sentences=self.sentences,
            top_k=self.top_k,
        )
        parts = sorted((part for rows in found for part in rows), key=lambda part: -part["score"])
        return [
            Document(
                id=part["id"],
                page_content=part["text"],
                metadata={
                    **part["meta"],
                    "start_index": part["start"],
                    "end_index": part["end"],
                    "relevance_score": part["score"],
                }
                | ({} if part["page"] is None else {"page": part["page"]}),
            )
            for part in parts
        ]


def reader_runnable(predictor: object, *, top_k: int = 5) -> Runnable[dict[str, Any], list[DocumentAnswer]]:
    """Return a runnable from {"question": …, "documents": […]} to answers, best first; see `Predictor.search`.

    Args:
        predictor: the reader, or a pipeline of it.
        top_k: most answers.

    Raises:
        ModelError: no reader.

    """
    reader = predictor_of(predictor)

    def answer(inputs: dict[str, Any]) -> list[DocumentAnswer]:
        return reader.search(inputs["question"], inputs["documents"], top_k=top_k)

    return RunnableLambda(answer)
