"""Grapheme clusters, what people take for one character: where a text may be cut.

Clusters are Unicode's extended ones (Standard Annex 29), by the `regex` package, whose tables are those of the current
Unicode version; it comes with transformers. Marks that the annex lets stand alone, such as some vowels of Burmese, are
of the cluster before them here. White space is what `str.isspace` says.
"""

from collections.abc import Iterator
from functools import cache

import numpy as np
import regex
from jaxtyping import Bool, UInt32

_CONTROL = r"\p{GCB=Control}\p{GCB=CR}\p{GCB=LF}"
_MARK = r"\p{M}\p{GCB=Extend}\p{GCB=SpacingMark}\p{GCB=ZWJ}"
_CLUSTER = regex.compile(rf"(?:\p{{GCB=Regional_Indicator}}{{2}}|\X)(?:(?<![{_CONTROL}])(?=[{_MARK}])\X)*")
"""Pairs of regional indicators are taken as such: to each of a run `\\X` counts those before it."""
_JOINING = regex.compile(rf"[{_MARK}\p{{GCB=Prepend}}\p{{GCB=L}}\p{{GCB=V}}\p{{GCB=T}}\p{{GCB=Regional_Indicator}}\r]")
"""Characters without which two neighbours are never of one cluster; carriage return for the sake of CR LF."""
_INVISIBLE = regex.compile(rf"[\s\x1c-\x1f{_CONTROL}]")
_TABLE = 0x20000  # code points of which the joining ones are in a table
_PLANE = 0x10000  # code points of the basic plane
_AFTER_WHITE = 0x3001  # the first code point after all that are white space


def cluster_starts(text: str) -> Bool[np.ndarray, "character"]:
    """Return which characters begin a grapheme cluster."""
    if _JOINING.search(text) is None:
        return np.ones(len(text), dtype=bool)
    starts = np.zeros(len(text), dtype=bool)
    lengths = np.fromiter(map(len, _CLUSTER.findall(text)), dtype=np.int64)
    starts[np.cumsum(lengths) - lengths] = True
    return starts


def cuts_cluster(text: str, at: int) -> bool:
    """Return whether the place before character `at` is inside a grapheme cluster; looks no further than it must."""
    if not _may_join(text, at):
        return False
    begin = at
    while _may_join(text, begin):
        begin -= 1
    ends: Iterator[int] = (found.end() for found in _CLUSTER.finditer(text, begin))
    return next(end for end in ends if end >= at) > at


def visible_span(text: str, start: int, end: int) -> tuple[int, int]:
    """Move the borders of a span past white space, control and format characters, but into no grapheme cluster.

    An empty span where nothing is to be seen. A border that was inside a cluster before can stay there.
    """
    first, last = start, end
    while start < end and _INVISIBLE.match(text[start]):
        start += 1
    while start < end and _INVISIBLE.match(text[end - 1]):
        end -= 1
    while start > first and cuts_cluster(text, start):
        start -= 1
    while end < last and cuts_cluster(text, end):
        end += 1
    return start, end


def trimmed(text: str) -> str:
    """Return the text without what nobody sees at its ends, unless a mark is on it; its ends are those of clusters."""
    bare = text.strip(_unseen())
    if bare == text or not bare:
        return bare
    start = len(text) - len(text.lstrip(_unseen()))
    end = start + len(bare)
    while cuts_cluster(text, start):
        start -= 1
    while cuts_cluster(text, end):
        end += 1
    return text[start:end]


def may_join(codes: UInt32[np.ndarray, "character"]) -> Bool[np.ndarray, "character"]:
    """Return which code points may be of one cluster with a neighbour; where none is, each is a cluster of its own."""
    found: Bool[np.ndarray, "character"] = np.take(_joining_table(), codes, mode="clip")
    return found


def is_white(codes: UInt32[np.ndarray, "character"]) -> Bool[np.ndarray, "character"]:
    """Return which code points are white space."""
    found: Bool[np.ndarray, "character"] = np.take(_white_table(), codes, mode="clip")
    return found


def is_unseen(codes: UInt32[np.ndarray, "character"]) -> Bool[np.ndarray, "character"]:
    """Return which code points `visible_span` and `trimmed` move borders past."""
    found: Bool[np.ndarray, "character"] = np.take(_unseen_table(), codes, mode="clip")
    return found


@cache
def _unseen() -> str:
    """Return them, as `str.strip` takes them: those of the basic plane, without the halves of surrogate pairs."""
    plane = "".join(chr(code) for code in range(_PLANE) if not 0xD800 <= code < 0xE000)
    return "".join(_INVISIBLE.findall(plane))


@cache
def _unseen_table() -> Bool[np.ndarray, "code"]:
    table = np.zeros(_PLANE + 1, dtype=bool)
    table[np.fromiter(map(ord, _unseen()), dtype=np.int64)] = True
    return table


@cache
def _joining_table() -> Bool[np.ndarray, "code"]:
    table = np.zeros(_TABLE + 1, dtype=bool)
    every = "".join(map(chr, range(_TABLE)))
    table[np.fromiter((found.start() for found in _JOINING.finditer(every)), dtype=np.int64)] = True
    table[_TABLE] = True  # what is beyond: variation selectors of ideographs and tags, among ideographs
    return table


@cache
def _white_table() -> Bool[np.ndarray, "code"]:
    return np.array([chr(code).isspace() for code in range(_AFTER_WHITE + 1)])


def _may_join(text: str, at: int) -> bool:
    """Return whether one of the two characters around a place inside the text is of a kind that joins."""
    return 0 < at < len(text) and _JOINING.search(text, at - 1, at + 1) is not None
