"""All that documents say to a question -> disjoint stretches of them."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from qa.adaptation.words import find_sentences
from qa.inference.answers import PassageSpan, Span, listed_spans, spans_of
from qa.inference.chunk import Chunk
from qa.inference.documents import KnownOfDocument
from qa.inference.inputs import Row
from qa.inference.options import AnswerOptions, CallOptions, flag, share, whole_number
from qa.inference.passages import known_of

_FOUND = 5  # spans of a document, unless told otherwise
_CHECKS: dict[str, Callable[[str, object], Any]] = {
    "min_score": share,
    "merge_gap": lambda name, value: whole_number(name, value, least=0),
    "min_chars": lambda name, value: whole_number(name, value, least=1),
    "sentences": flag,
}


class Evidence(KnownOfDocument):
    """A stretch of a document; `text` is its text from `start` to `end`."""

    passage: int
    """Which of the documents."""
    start: int
    end: int
    text: str
    score: float
    """That of its best span; 0.5 is where the reader changes to "no answer"."""


class ScoredSpan(NamedTuple):
    """Half-open characters of a text, and how sure it is that they are meant."""

    start: int
    end: int
    score: float


class EvidenceOptions(CallOptions, total=False):
    """What a call for evidence may say; `top_k`, spans of a document before they are joined, is 5 unless given."""

    min_score: float | None
    """Least score of a span, 0 to 1; left out: 0.5."""
    merge_gap: int | None
    """Characters between two spans, at most, that become one with what is between them; left out: 0."""
    min_chars: int | None
    """Least length of what is returned, in characters; left out: 1."""
    sentences: bool | None
    """Whether a span grows to the sentences that it is in; left out: no."""


@dataclass(frozen=True, kw_only=True)
class EvidenceShape:
    """Which spans become evidence, and how they are joined."""

    min_score: float = 0.5
    merge_gap: int = 0
    min_chars: int = 1
    sentences: bool = False


def evidence_options(given: EvidenceOptions) -> tuple[EvidenceShape, CallOptions]:
    """Return what a call says of evidence, checked, and the options of a search.

    Raises:
        ConfigError: a value of wrong type, or out of range.

    """
    said = {name: value for name, value in given.items() if value is not None}
    shape = {name: check(name, said.pop(name)) for name, check in _CHECKS.items() if name in said}
    most = {} if "topk" in said else {"top_k": _FOUND}
    return EvidenceShape(**shape), cast("CallOptions", {"overlap": 0.0} | most | said)


def evidence_of(chunks: Iterable[Chunk], options: AnswerOptions, shape: EvidenceShape) -> Iterator[list[Evidence]]:
    """Yield the evidence of every passage, in the order of its text."""
    done = 0
    for chunk in chunks:
        found = spans_of(
            chunk.against_null(options), chunk.contexts, first_passage=done, align_to_words=options.align_to_words
        )
        of_passage: dict[int, list[PassageSpan]] = {}
        for span in found:
            of_passage.setdefault(span.passage, []).append(span)
        for passage, row in enumerate(chunk.rows, start=done):
            spans = joined_spans(_scored(of_passage.get(passage, []), options), row["context"], shape)
            yield [_evidence(passage, row, span) for span in spans]
        done += len(chunk.rows)


def joined_spans(spans: Iterable[ScoredSpan], text: str, shape: EvidenceShape) -> list[ScoredSpan]:
    """Return disjoint spans in the order of the text: sure enough, grown, joined where near, and long enough."""
    kept = [span for span in spans if span.score >= shape.min_score]
    if shape.sentences and kept:
        bounds = find_sentences(text)
        kept = [_to_sentences(span, bounds) for span in kept]
    joined: list[ScoredSpan] = []
    for span in sorted(kept):
        if joined and span.start - joined[-1].end <= shape.merge_gap:
            before = joined.pop()
            joined.append(ScoredSpan(before.start, max(before.end, span.end), max(before.score, span.score)))
        else:
            joined.append(span)
    return [span for span in joined if span.end - span.start >= shape.min_chars]


def certainty(log_odds: float, *, threshold: float, temperature: float) -> float:
    """Return the share of a span beside "no answer" alone: 0.5 where the null odds are the threshold."""
    return 1 / (1 + math.exp(min(-(log_odds + threshold) / temperature, 700.0)))  # exp(710) is more than a float


def _scored(ranked: Sequence[PassageSpan], options: AnswerOptions) -> list[ScoredSpan]:
    """Return the best disjoint spans of a passage."""
    spans = sorted(ranked)
    listed = listed_spans(
        [Span(0, span.start, span.end) for span in spans], most=options.top_k, overlap=options.overlap
    )
    return [
        ScoredSpan(
            spans[row].start,
            spans[row].end,
            certainty(-spans[row].negative_score, threshold=options.threshold, temperature=options.temperature),
        )
        for row in listed
    ]


def _to_sentences(span: ScoredSpan, bounds: Sequence[tuple[int, int]]) -> ScoredSpan:
    """Grow a span to the borders of the sentences that it shares characters with."""
    touched = [(start, end) for start, end in bounds if start < span.end and end > span.start]
    if not touched:
        return span
    return ScoredSpan(min(span.start, touched[0][0]), max(span.end, touched[-1][1]), span.score)


def _evidence(passage: int, row: Row, span: ScoredSpan) -> Evidence:
    start, end, score = span
    found = Evidence(passage=passage, start=start, end=end, text=row["context"][start:end], score=score)
    if "document" in row:
        found.update(known_of(row["document"], start))  # type: ignore[typeddict-item]  # its three keys
    return found
