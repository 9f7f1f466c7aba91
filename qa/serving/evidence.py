"""POST /evidence and POST /ground: what documents say to a question, and where sources have what an answer says."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import FastAPI
from pydantic import AfterValidator, BaseModel, Discriminator, Field, Tag

from qa.inference import grounding
from qa.inference.predictor import Predictor
from qa.inference.remarks import RemarksOfCall
from qa.serving.schema import Limits, Noted, Options, Question, Strict, Text, few_characters
from qa.serving.tasks import Results, beside
from qa.serving.turns import require_waiting

PATHS = ("/evidence", "/ground")
_MOST_QUOTES = 200
_MOST_CHARACTERS = 200_000  # of all sources: each is compared with each quote

Texts = Annotated[list[Text], Field(min_length=1, max_length=Limits.inputs), AfterValidator(few_characters)]


def _few_sources(sources: list[str]) -> list[str]:
    if sum(map(len, sources)) > _MOST_CHARACTERS:
        raise ValueError(f"has sources of more than {_MOST_CHARACTERS:,} characters together")
    return sources


class EvidenceRequest(Options):
    """A question, and documents that may say something to it."""

    question: Question
    documents: Texts
    top_k: int = Field(5, ge=1, le=20, description="Spans of a document, before they are joined.")
    min_score: float = Field(0.5, ge=0, le=1, description='Least score; 0.5: where the reader changes to "no answer".')
    merge_gap: int = Field(0, ge=0, le=10_000, description="Characters between spans, at most, that become one.")
    min_chars: int = Field(1, ge=1, le=10_000, description="Least length, in characters.")
    sentences: bool = Field(default=False, description="Let spans grow to sentences.")


class GroundRequest(Strict):
    """An answer, or quotes, and the sources that should have them."""

    answer: Annotated[
        Annotated[str, Field(max_length=20_000), Tag("one")]
        | Annotated[list[Annotated[Text, Field(max_length=20_000)]], Field(max_length=_MOST_QUOTES), Tag("many")],
        Discriminator(lambda answer: "many" if isinstance(answer, list) else "one"),
    ] = Field(description="A text, whose quotations and sentences are looked for, or a list of quotes.")
    sources: Annotated[list[Text], Field(min_length=1, max_length=Limits.inputs), AfterValidator(_few_sources)]
    min_score: float = Field(0.5, ge=0, le=1, description="Least certainty of a paraphrase.")


class EvidencePart(BaseModel):
    """A stretch of a document."""

    passage: int = Field(ge=0, description="Index of its document.")
    start: int = Field(ge=0, description="First character there, counted in Unicode code points.")
    end: int = Field(ge=0, description="Character after the last one.")
    text: str
    score: float = Field(ge=0, le=1, description="That of its best span.")


class EvidenceResponse(Noted):
    """The evidence of every document, in the order of its text."""

    results: list[list[EvidencePart]]


class Grounding(BaseModel):
    """Where a source has a quote, or a part of an answer."""

    quote: str
    verdict: grounding.Verdict
    source: int | None = Field(description="Index of the source; null: none has it.")
    start: int = Field(ge=0, description="First character there, counted in Unicode code points.")
    end: int = Field(ge=0, description="Character after the last one.")
    text: str
    score: float = Field(ge=0, le=1, description="Certainty: 1 unless it is a paraphrase, or unsupported.")


class GroundResponse(BaseModel):
    """A verdict on each quote, or part of an answer, in order."""

    results: list[Grounding]


@dataclass(frozen=True, kw_only=True)
class EvidenceTask:
    """A question about many documents, of which all that answers it is wanted."""

    body: EvidenceRequest

    @property
    def size(self) -> int:
        """Documents."""
        return len(self.body.documents)

    @property
    def characters(self) -> int:
        """Of the documents."""
        return sum(map(len, self.body.documents))

    def answer(self, predictor: Predictor) -> Results:
        """Return the evidence of every document."""
        body, remarks = self.body, RemarksOfCall()
        found = predictor.telling(remarks.take).evidence(
            body.question,
            body.documents,
            min_score=body.min_score,
            merge_gap=body.merge_gap,
            min_chars=body.min_chars,
            sentences=body.sentences,
            **body.as_call(),
        )
        return beside(found, remarks.all)


@dataclass(frozen=True, kw_only=True)
class GroundTask:
    """Quotes, or an answer, that sources should have."""

    body: GroundRequest

    @property
    def size(self) -> int:
        """Sources."""
        return len(self.body.sources)

    @property
    def characters(self) -> int:
        """Of the sources."""
        return sum(map(len, self.body.sources))

    def answer(self, predictor: Predictor) -> list[grounding.Grounding]:
        """Return a verdict on each quote or part."""
        body = self.body
        return grounding.ground(
            body.answer, body.sources, reader=predictor, min_score=body.min_score, between=require_waiting
        )


def add_evidence(
    app: FastAPI,
    results: Callable[[EvidenceTask | GroundTask], Awaitable[Any]],
    refusals: dict[int | str, dict[str, Any]],
) -> tuple[str, ...]:
    """Add both routes; return their paths.

    Args:
        app: the service.
        results: waits for a task's results.
        refusals: how refusals are described.

    """

    @app.post("/evidence", response_model=EvidenceResponse, responses=refusals)
    async def evidence(body: EvidenceRequest) -> Any:  # noqa: ANN401  # its task's results
        """Find all that documents say to a question."""
        return await results(EvidenceTask(body=body))

    @app.post("/ground", response_model=GroundResponse, responses=refusals)
    async def ground(body: GroundRequest) -> dict[str, Any]:
        """Say where sources have each quotation and sentence of an answer, or each quote."""
        return {"results": await results(GroundTask(body=body))}

    return PATHS
