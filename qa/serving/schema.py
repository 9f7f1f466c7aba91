"""What clients send and get, as the OpenAPI document shows it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag

from qa.config import Answers
from qa.inference.options import CallOptions

MOST_ANSWERS = 20
"""Answers that a client may ask for: as many as a reader keeps to begin with."""
MOST_CHARACTERS = 500_000
"""Of a text."""
MOST_CHARACTERS_TOGETHER = 1_000_000
"""Of all texts of a request; bounds the work that one request can cause."""
_DEEPEST = 32
"""Of lists and objects within one another."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the service takes; more is refused with a 4xx status, a full queue with 503."""

    body_bytes: int = 6 << 20
    """Of a request: room for the longest text, of which JSON writes a character with up to 12 bytes."""
    all_bytes: int = 64 << 20
    """Of all requests that are being read or answered; bounds the memory of the service."""
    inputs: int = 64
    """Questions of a request, or passages of a search."""
    waiting: int = 256
    """Inputs of all clients that are not answered yet."""
    seconds: float = 30.0
    """For a request to arrive, and then for its answer."""


def _not_blank(text: str) -> str:
    if text.isspace():
        raise ValueError("holds white space only")
    return text


def few_characters(texts: list[str]) -> list[str]:
    """Return the texts of a request if one request may have them all."""
    if sum(map(len, texts)) > MOST_CHARACTERS_TOGETHER:
        raise ValueError(f"has texts of more than {MOST_CHARACTERS_TOGETHER:,} characters together")
    return texts


Question = Annotated[str, Field(min_length=1, max_length=2_000), AfterValidator(_not_blank)]
Text = Annotated[str, Field(min_length=1, max_length=MOST_CHARACTERS), AfterValidator(_not_blank)]


class Strict(BaseModel):
    """Takes what it names, of the type it names, and nothing else."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


class Options(Strict):
    """How to read; what is left out is as the model was trained."""

    top_k: int = Field(1, ge=1, le=MOST_ANSWERS, description="Answers of an input, at most, best first.")
    max_answer_length: int | None = Field(None, ge=1, le=200, description="Longest answer, in tokens.")
    no_answer: bool | None = Field(None, description='Whether "no answer" is possible.')
    align_to_words: bool = Field(default=False, description="Let answers end at the borders of words only.")
    overlap: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Largest share of the shorter of two answers that both may have in common; above it the better one "
        "alone is listed. 0: answers are disjoint; left out: all are listed.",
    )
    max_question_length: int | None = Field(
        None, ge=1, description="Tokens of the question that are read; left out: three quarters of a window."
    )

    def as_call(self) -> CallOptions:
        """Return them as the predictor takes them."""
        return CallOptions(
            top_k=self.top_k,
            max_answer_length=self.max_answer_length,
            no_answer=self.no_answer,
            align_to_words=self.align_to_words,
            overlap=self.overlap,
            max_question_length=self.max_question_length,
        )


class Input(Strict):
    """A question and the text that may hold its answer."""

    question: Question
    context: Text


def _few_in_inputs(inputs: list[Input]) -> list[Input]:
    few_characters([one.context for one in inputs])
    return inputs


class Asking(Options):
    """How to answer: with the best answers unless all are wanted; what else is left out is as the model was trained."""

    answers: Answers = Field(
        "any",
        description='"any": the best answers, `top_k` of them; "all": every disjoint one that stands against '
        '"no answer" by itself, which may be none: all, unless `top_k` is said.',
    )

    def as_call(self) -> CallOptions:
        """Return them as the predictor takes them."""
        call = super().as_call() | CallOptions(answers=self.answers)
        if self.answers == "all" and "top_k" not in self.model_fields_set:
            call["top_k"] = None
        return call


class OneQuestion(Asking):
    """One question about one text."""

    question: Question
    context: Text


class ManyQuestions(Asking):
    """Several questions, each about a text."""

    inputs: Annotated[list[Input], Field(min_length=1, max_length=Limits.inputs), AfterValidator(_few_in_inputs)]


def _kind(body: object) -> str:
    many = "inputs" in body if isinstance(body, dict) else isinstance(body, ManyQuestions)
    return "many" if many else "one"


Questions = Annotated[Annotated[OneQuestion, Tag("one")] | Annotated[ManyQuestions, Tag("many")], Discriminator(_kind)]
"""One question or many: decided by whether there are inputs, so that what is wrong is said of one kind only."""


def _writable(meta: dict[str, Any]) -> dict[str, Any]:
    """Return what is known of a passage, if an answer can have it: it comes back as JSON."""
    level: list[object] = [meta]
    for _ in range(_DEEPEST):
        level = [child for one in level for child in _children(one)]
    if level:
        raise ValueError(f"is nested more than {_DEEPEST} deep")
    try:
        json.dumps(meta, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError("has a text with a lone surrogate") from error
    except ValueError as error:
        raise ValueError("has a number that is not finite") from error
    return meta


def _children(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


class Document(Strict):
    """A passage, and what is known of it, which comes back with its answers."""

    text: Text
    id: str | None = Field(None, max_length=1_000)
    meta: Annotated[dict[str, Any], AfterValidator(_writable)] = Field(
        default_factory=dict, description="Anything that JSON has; `page` is where the text begins."
    )


def _passage_kind(passage: object) -> str:
    return "plain" if isinstance(passage, str) else "known"


Passage = Annotated[Annotated[Text, Tag("plain")] | Annotated[Document, Tag("known")], Discriminator(_passage_kind)]


def _few_in_passages(passages: list[str | Document]) -> list[str | Document]:
    few_characters([one if isinstance(one, str) else one.text for one in passages])
    return passages


class Search(Options):
    """One question about many passages."""

    question: Question
    contexts: Annotated[list[Passage], Field(min_length=1, max_length=Limits.inputs), AfterValidator(_few_in_passages)]
    lexical_weight: float | None = Field(
        None, ge=0, le=1_000, description="What shared words (BM25) count beside log odds; left out: as was fitted."
    )
    prefilter: int | None = Field(None, ge=1, description="Passages that are read: so many that are best by BM25.")


class Answer(BaseModel):
    """One answer; "no answer" is the empty text, from 0 to 0."""

    score: float = Field(
        ge=0, le=1, description="How likely it is right, as `qa calibrate` fitted it; before that, its share."
    )
    start: int = Field(ge=0, description="First character in the context, counted in Unicode code points.")
    end: int = Field(ge=0, description="Character after the last one.")
    answer: str
    no_answer_score: float = Field(ge=0, le=1, description='Probability of "no answer".')
    place_score: float = Field(
        ge=0, le=1, description="Probability of its place: the shares of all answers there, at least its score."
    )


class UnknownShares(BaseModel):
    """Shares of tokens that stand for what the model's tokenizer does not know."""

    questions: float = Field(ge=0, le=1)
    contexts: float = Field(ge=0, le=1)


class Warned(BaseModel):
    """Why answers are not to be trusted."""

    kind: Literal["unknown_tokens", "question_cut", "stride_cut"] = Field(
        description="Texts that the tokenizer does not know, questions of which the end was not read, or windows that "
        "share fewer tokens than asked for."
    )
    detail: str


class Noted(BaseModel):
    """What is noted of the texts of a request."""

    unknown_tokens: UnknownShares
    warnings: list[Warned]


class AnswerResponse(Noted):
    """The answers of every input, in the order of the inputs, best first."""

    results: list[list[Answer]]


class PassageAnswer(BaseModel):
    """An answer of a search."""

    score: float = Field(ge=0, le=1, description="Its probability among all passages' answers.")
    passage: int = Field(ge=0, description="Index of its passage.")
    start: int = Field(ge=0, description="First character in that passage, counted in Unicode code points.")
    end: int = Field(ge=0, description="Character after the last one.")
    answer: str
    place_score: float = Field(
        ge=0, le=1, description="Probability of its place: the shares of all answers there, at least its score."
    )
    log_odds: float = Field(description='Score of the span less that of "not in this window"; the ranking goes by it.')
    id: str | None = Field(None, description="Of its passage, where that is a document; so are these.")
    meta: dict[str, Any] | None = None
    page: int | None = Field(None, description="Page of its first character.")


class SearchResponse(Noted):
    """The best answers over all passages."""

    results: list[PassageAnswer]


class Health(BaseModel):
    """That the service works, and with what."""

    status: Literal["ok", "stuck"]
    model: str
    waiting: int = Field(description="Inputs that are not done with yet.")


class Readiness(BaseModel):
    """Whether a request would be taken now."""

    status: Literal["ready", "busy"]


class Problem(BaseModel):
    """Why a request was refused."""

    detail: str


def describe_problems(statuses: dict[int, str]) -> dict[int | str, dict[str, Any]]:
    """Describe refusals for the OpenAPI document."""
    return {status: {"model": Problem, "description": text} for status, text in statuses.items()}
