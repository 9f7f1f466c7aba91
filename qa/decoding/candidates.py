"""Spans of all features -> candidates of all examples, in characters: cleaned, ranked, each once.

Columns over all candidates at once; Python objects are only the texts.
"""

from collections.abc import Iterable, Sequence
from itertools import chain
from operator import itemgetter
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from qa.decoding.kept import NO_SPAN, FeatureSpans
from qa.features.graphemes import is_unseen, trimmed
from qa.features.windows import Features


class Candidates(NamedTuple):
    """Columns over candidates: the example, the characters, the text (as objects) and the logits of each."""

    example: Int[np.ndarray, "candidate"]
    start: Int[np.ndarray, "candidate"]
    end: Int[np.ndarray, "candidate"]
    text: Shaped[np.ndarray, "candidate"]
    start_logit: Float[np.ndarray, "candidate"]
    end_logit: Float[np.ndarray, "candidate"]

    @classmethod
    def of(cls, spans: FeatureSpans, features: Features, contexts: Sequence[str]) -> "Candidates":
        """Flatten the spans and translate them to characters."""
        found = spans.first != NO_SPAN
        feature = np.repeat(spans.feature, found.sum(axis=1))
        example = features.example[feature]
        start, end = features.char_spans(feature, spans.first[found], spans.last[found])
        text = texts_of(contexts, example, start, end)
        return cls(example, start, end, text, spans.start_logit[found], spans.end_logit[found])

    @property
    def score(self) -> Float[np.ndarray, "candidate"]:
        """Start and end logit added in their own precision."""
        score: Float[np.ndarray, "candidate"] = self.start_logit + self.end_logit
        return score

    def at(self, rows: Int[np.ndarray, "some"] | Bool[np.ndarray, "candidate"]) -> "Candidates":
        """Return some of them."""
        return Candidates(*(column[rows] for column in self))

    def trimmed(self) -> "Candidates":
        """Move the borders of each past what nobody sees, but into no grapheme cluster; drop what is nothing else.

        Such are white space, byte order marks, signs of direction and spaces without width: tokens hold them, since
        offsets cover the text, and references do not.
        """
        text, start, end = self.text.copy(), self.start.copy(), self.end.copy()
        text[start >= end] = " "  # blank as they are, but with ends to look at
        moved = np.flatnonzero(_have_unseen_ends(text))
        text[moved] = np.fromiter(map(trimmed, self.text[moved]), dtype=object, count=len(moved))
        start[moved] += np.fromiter(map(str.find, self.text[moved], text[moved]), dtype=np.int64)
        end[moved] = start[moved] + _lengths(text[moved])
        return self._replace(start=start, end=end, text=text).at(start < end)

    def ranked(self) -> "Candidates":
        """Sort by example, the best score first, of equal ones by place.

        Example and score are one integer, which is fast to sort: floats are ordered as the integers that their bits
        are, negative ones the other way round. Spans come best first, so that there is little to sort.
        """
        bits = (self.score + np.float32(0.0)).view(np.int32)  # with 0.0, so that there is no -0.0
        score = np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits).astype(np.int64)
        rank = (self.example.astype(np.int64) << 32) - score
        order = np.argsort(rank, kind="stable")
        tied = np.zeros(len(order), dtype=bool)
        tied[1:] = rank[order[1:]] == rank[order[:-1]]
        tied[:-1] |= tied[1:]
        rows = order[tied]
        order[tied] = rows[np.lexsort((self.end[rows], self.start[rows], rank[rows]))]
        return self.at(order)

    def merged(self) -> "Candidates":
        """Of ranked candidates that are the same characters of the same example keep the first."""
        columns = self.example, self.start, self.end - self.start
        place = np.ravel_multi_index(columns, [int(column.max(initial=0)) + 1 for column in columns])  # fast to sort
        _, first = np.unique(place, return_index=True)
        return self.at(np.sort(first))

    def among_best(self, n_best: int, null_score: Float[np.ndarray, "example"]) -> Bool[np.ndarray, "candidate"]:
        """Find the first `n_best` of each example's ranked candidates, one of which the null score may be."""
        counts = np.bincount(self.example, minlength=len(null_score))
        rank = np.arange(len(self.example)) - np.repeat(np.cumsum(counts) - counts, counts)
        with_null = rank + (null_score[self.example] > self.score)
        among: Bool[np.ndarray, "candidate"] = (with_null < n_best) | (rank == 0)  # the null odds need the best span
        return among


def texts_of(
    contexts: Sequence[str],
    example: Int[np.ndarray, "candidate"],
    start: Int[np.ndarray, "candidate"],
    end: Int[np.ndarray, "candidate"],
) -> Shaped[np.ndarray, "candidate"]:
    """Return the texts of spans, as objects."""
    texts = np.empty(len(example), dtype=object)
    places = zip(example.tolist(), start.tolist(), end.tolist(), strict=True)
    texts[:] = [contexts[at][begin:stop] for at, begin, stop in places]
    return texts


def disjoint_rows(
    ranked: Sequence[int], start: Sequence[int], end: Sequence[int], *, most: int | None = None
) -> list[int]:
    """Return, of ranked candidates of one example, those that share no character with a better one that is kept.

    Args:
        ranked: rows of `start` and `end`, the best first.
        start: half-open characters.
        end: as above.
        most: how many are kept; None: all.

    """
    kept: list[int] = []
    for row in ranked:
        if len(kept) == most:
            break
        if all(end[row] <= start[other] or start[row] >= end[other] for other in kept):
            kept.append(row)
    return kept


def _have_unseen_ends(texts: Shaped[np.ndarray, "text"]) -> Bool[np.ndarray, "text"]:
    """Return which texts, of a character or more, begin or end with what nobody sees: all that can be trimmed."""
    ends = "".join(chain(map(itemgetter(0), texts), map(itemgetter(-1), texts)))
    codes = np.frombuffer(ends.encode("utf-32-le"), dtype=np.uint32)
    first, last = is_unseen(codes).reshape(2, -1)
    found: Bool[np.ndarray, "text"] = first | last
    return found


def _lengths(texts: Iterable[str]) -> Int[np.ndarray, "text"]:
    return np.fromiter(map(len, texts), dtype=np.int64)
