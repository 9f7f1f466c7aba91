"""What a caller should know of the inputs of a call: what of them the reader does not know, or does not read."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypedDict

import numpy as np

from qa.features.unknown import UnknownTokens, unknown_tokens
from qa.features.windows import Encoder, Features
from qa.inference.inputs import Row
from qa.inference.options import AnswerOptions

_LOG = logging.getLogger(__name__)
_NAMED = 3  # inputs that a warning names


class Doubt(TypedDict):
    """Why answers are not to be trusted."""

    kind: Literal["unknown_tokens", "question_cut", "stride_cut"]
    detail: str


@dataclass(frozen=True, kw_only=True)
class Remarks:
    """What was noticed."""

    unknown: UnknownTokens = field(default_factory=UnknownTokens)
    cut: tuple[str, ...] = ()
    """Said of questions that were cut: their end may say what is asked."""
    narrowed: tuple[str, ...] = ()
    """Said of windows that share fewer tokens than asked for: an answer may be in none of them whole."""

    def __add__(self, other: "Remarks") -> "Remarks":
        """Return those of both."""
        cut, narrowed = self.cut + other.cut, self.narrowed + other.narrowed
        return Remarks(unknown=self.unknown + other.unknown, cut=cut, narrowed=narrowed)

    @property
    def doubts(self) -> list[Doubt]:
        """What is to be said aloud."""
        unknown = [] if self.unknown.warning is None else [self.unknown.warning]
        return [
            *(Doubt(kind="unknown_tokens", detail=detail) for detail in unknown),
            *(Doubt(kind="question_cut", detail=detail) for detail in self.cut),
            *(Doubt(kind="stride_cut", detail=detail) for detail in self.narrowed),
        ]

    def without_unknown(self) -> "Remarks":
        """Return the rest."""
        return replace(self, unknown=UnknownTokens())


class RemarksOfCall:
    """Adds up the remarks on a call's chunks; its `take` is what a predictor tells."""

    def __init__(self) -> None:
        """Begin without any."""
        self.all = Remarks()

    def take(self, remarks: Remarks) -> None:
        """Add some."""
        self.all += remarks


def remarks_on(
    rows: Sequence[Row], ids: Sequence[str], features: Features, encoder: Encoder, options: AnswerOptions
) -> Remarks:
    """Look at the texts of some rows, and at the windows that they were cut into."""
    blank = {row["context"] for row in rows if row["context"].isspace()}
    unknown = unknown_tokens(features, blank_contexts=len(blank))
    cut = _cut_questions(rows, ids, features, encoder, options)
    return Remarks(unknown=unknown, cut=cut, narrowed=_narrowed_strides(ids, features, options))


def _cut_questions(
    rows: Sequence[Row], ids: Sequence[str], features: Features, encoder: Encoder, options: AnswerOptions
) -> tuple[str, ...]:
    """Name questions that are longer than what is read of them."""
    read = options.features.max_question_length
    full = np.flatnonzero(features.question_ids.lengths == read).tolist()
    if not full:
        return ()
    encodings = encoder.backend.encode_batch([rows[at]["question"] for at in full], add_special_tokens=False)
    cut = [(ids[at], len(encoding)) for at, encoding in zip(full, encodings, strict=True) if len(encoding) > read]
    if not cut:
        return ()
    named = ", ".join(f"{name} has {tokens} tokens" for name, tokens in cut[:_NAMED])
    window = options.features.max_length
    return (f"{len(cut)} questions are cut to their first {read} tokens (windows have {window}): {named}",)


def _narrowed_strides(ids: Sequence[str], features: Features, options: AnswerOptions) -> tuple[str, ...]:
    """Name inputs whose windows cannot share what they should: it is no less than what a question leaves of one."""
    stride, window = options.features.doc_stride, options.features.max_length
    several = np.unique(features.example[features.first > 0])
    room = window - features.template.special_tokens - features.question_ids.lengths[several]
    narrow = [(ids[at], int(tokens)) for at, tokens in zip(several, room, strict=True) if tokens <= stride]
    if not narrow:
        return ()
    named = ", ".join(f"{name} has {tokens} beside its question" for name, tokens in narrow[:_NAMED])
    halved = (
        f"doc_stride is {stride}: of windows of {window} tokens neighbours share half of what {len(narrow)} questions"
    )
    return (f"{halved} leave instead: {named}",)


def report(remarks: Remarks, tell: Callable[[Remarks], None] | None, *, first: bool) -> None:
    """Log what makes answers doubtful, and tell remarks; of unknown tokens those of a call's first texts say enough."""
    for doubt in (remarks if first else remarks.without_unknown()).doubts:
        _LOG.warning("%s", doubt["detail"])
    if tell is not None:
        tell(remarks)
