"""Token offsets that cover the text, whatever a tokenizer reports.

Normalisers drop accents, marks and control characters, and some pre-tokenizers lose the first letter of every word:
without these characters labels and answers are too short, and a model learns them by heart without ever being right.
Here all contexts of a batch are one text, and only what is not covered is looked at.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int, UInt32

from qa.features.graphemes import cluster_starts, is_white, may_join

_MARKS = 0x300  # the first character that joins its neighbour, but for carriage return
_SPACE, _RETURN = 0x20, 0x0D
_NONE = -1
_NO_PLACES = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, eq=False, kw_only=True)
class TokenOffsets:
    """The characters of tokens, half-open; those of text `i` are rows `bounds[i]:bounds[i + 1]`."""

    start: Int[np.ndarray, "token"]
    end: Int[np.ndarray, "token"]
    bounds: Int[np.ndarray, "text_and_one"]


def cover_texts(texts: Sequence[str], reported: TokenOffsets) -> TokenOffsets:
    """Return offsets that never go backwards, that cut no grapheme cluster and that cover all but white space.

    A cluster that several tokens share, as bytes share a character, belongs to each of them as a whole. Characters
    between two tokens that none has belong to the token after them, unless white space parts them from it and not from
    the token before; those before the first and after the last token belong to these. A text without tokens has none.

    Args:
        texts: what was tokenised.
        reported: the tokenizer's offsets, which count code points of each text.

    """
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    origins = np.cumsum(lengths) - lengths
    codes = np.frombuffer("".join(texts).encode("utf-32-le"), dtype=np.uint32)
    shift = np.repeat(origins, np.diff(reported.bounds))
    joined = _Clusters.of(texts, codes, origins)
    offsets = replace(reported, start=reported.start + shift, end=reported.end + shift)
    offsets = _ascending(joined.uncut(offsets))
    holes = _Holes.of(_gaps(offsets, codes, origins, origins + lengths), codes)
    if len(holes):
        offsets = joined.uncut(holes.filled(offsets))
    return replace(offsets, start=(offsets.start - shift).astype(np.int32), end=(offsets.end - shift).astype(np.int32))


def _ascending(offsets: TokenOffsets) -> TokenOffsets:
    """Let no token begin, or end, before the one before it does."""
    start, end = offsets.start, offsets.end
    if not ((start[1:] < start[:-1]) | (end[1:] < end[:-1])).any():
        return offsets
    return replace(offsets, start=np.maximum.accumulate(start), end=np.maximum.accumulate(end))


# --- clusters ---


class _Clusters(NamedTuple):
    """The characters that are not the first of their cluster, in order, and the borders of the cluster of each."""

    inner: Int[np.ndarray, "inner"]
    begin: Int[np.ndarray, "inner"]
    end: Int[np.ndarray, "inner"]
    is_inner: Bool[np.ndarray, "character_and_one"]

    @classmethod
    def of(
        cls, texts: Sequence[str], codes: UInt32[np.ndarray, "character"], origins: Int[np.ndarray, "text"]
    ) -> "_Clusters":
        """Find them in the texts that have a character of a kind that joins."""
        candidates = np.flatnonzero((codes >= _MARKS) | (codes == _RETURN))
        candidates = candidates[may_join(codes[candidates])]
        if not len(candidates):
            return cls(_NO_PLACES, _NO_PLACES, _NO_PLACES, np.zeros(len(codes) + 1, dtype=bool))
        rows = np.unique(np.searchsorted(origins, candidates, side="right") - 1).tolist()
        found = [origins[row] + np.flatnonzero(~cluster_starts(texts[row])) for row in rows]
        inner = np.concatenate([np.empty(0, dtype=np.int64), *found])
        begins = np.diff(inner, prepend=-2) > 1
        cluster = np.cumsum(begins) - 1
        is_inner = np.zeros(len(codes) + 1, dtype=bool)
        is_inner[inner] = True
        return cls(inner, inner[begins][cluster] - 1, inner[np.roll(begins, -1)][cluster] + 1, is_inner)

    def uncut(self, offsets: TokenOffsets) -> TokenOffsets:
        """Move borders of tokens that are inside a cluster to the cluster's."""
        if not len(self.inner):
            return offsets
        return replace(offsets, start=self._moved(offsets.start, self.begin), end=self._moved(offsets.end, self.end))

    def _moved(self, places: Int[np.ndarray, "token"], target: Int[np.ndarray, "inner"]) -> Int[np.ndarray, "token"]:
        cut = np.flatnonzero(self.is_inner[places])
        moved = places.copy()
        moved[cut] = target[np.searchsorted(self.inner, places[cut])]
        return moved


# --- holes ---


class _Gaps(NamedTuple):
    """Stretches of characters between tokens, and the tokens before and after each; `_NONE` at the ends of a text."""

    begin: Int[np.ndarray, "gap"]
    end: Int[np.ndarray, "gap"]
    before: Int[np.ndarray, "gap"]
    after: Int[np.ndarray, "gap"]


def _gaps(
    offsets: TokenOffsets,
    codes: UInt32[np.ndarray, "character"],
    text_begin: Int[np.ndarray, "text"],
    text_end: Int[np.ndarray, "text"],
) -> _Gaps:
    """Return the gaps that are more than a single space."""
    texts = np.flatnonzero(np.diff(offsets.bounds))  # those with tokens
    firsts, lasts = offsets.bounds[:-1][texts], offsets.bounds[1:][texts] - 1
    begin = np.roll(offsets.end, 1)
    begin[firsts] = text_begin[texts]
    before = np.arange(len(begin)) - 1
    before[firsts] = _NONE
    wide = np.flatnonzero(offsets.start > begin)
    wide = wide[(offsets.start[wide] > begin[wide] + 1) | (codes[begin[wide]] != _SPACE)]
    return _Gaps(
        begin=np.concatenate([begin[wide], offsets.end[lasts]]),
        end=np.concatenate([offsets.start[wide], text_end[texts]]),
        before=np.concatenate([before[wide], lasts]),
        after=np.concatenate([wide, np.full(len(texts), _NONE)]),
    )


class _Holes(NamedTuple):
    """Characters in gaps that are not white space, in order, and the token that each is to belong to."""

    character: Int[np.ndarray, "hole"]
    token: Int[np.ndarray, "hole"]
    to_before: Bool[np.ndarray, "hole"]
    """Whether the token is the one before."""

    @classmethod
    def of(cls, gaps: _Gaps, codes: UInt32[np.ndarray, "character"]) -> "_Holes":
        """Find them and decide; see `cover_texts`."""
        sizes = np.maximum(gaps.end - gaps.begin, 0)
        if not sizes.any():
            return cls(_NO_PLACES, _NO_PLACES, _NO_PLACES.astype(bool))
        gap = np.repeat(np.arange(len(sizes)), sizes)
        nth = np.arange(len(gap)) - np.repeat(np.cumsum(sizes) - sizes, sizes)  # character of its gap
        character = gaps.begin[gap] + nth
        hole = np.flatnonzero(~is_white(codes[character]))
        gap, nth, character = gap[hole], nth[hole], character[hole]
        _, first, counts = np.unique(gap, return_index=True, return_counts=True)
        touches_before = nth == np.arange(len(gap)) - np.repeat(first, counts)
        parted = touches_before & (np.repeat(counts, counts) < sizes[gap])
        to_before = (gaps.before[gap] != _NONE) & (parted | (gaps.after[gap] == _NONE))
        return cls(character, np.where(to_before, gaps.before[gap], gaps.after[gap]), to_before)

    def __len__(self) -> int:
        return len(self.character)

    def filled(self, offsets: TokenOffsets) -> TokenOffsets:
        """Add every character to its token."""
        start, end, back = offsets.start.copy(), offsets.end.copy(), self.to_before
        end[self.token[back]] = self.character[back] + 1  # of several of a token, the last counts
        start[self.token[~back][::-1]] = self.character[~back][::-1]  # and here the first
        return replace(offsets, start=start, end=end)
