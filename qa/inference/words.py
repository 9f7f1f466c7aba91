"""Borders of words and numbers, in any script."""

import unicodedata
from functools import lru_cache

import numpy as np
import regex
from jaxtyping import Bool, Int

from qa.data.scripts import UNSPACED
from qa.features.graphemes import cluster_starts

_WITHOUT_SPACES = regex.compile(f"[{UNSPACED}]")
_ZERO_WIDTH_SPACE = "\u200b"
_IN_WORD, _UNSEEN, _BETWEEN = "w", "u", "."
_HIDDEN = r"[\p{Cf}--\u200b]*+"  # may stand anywhere in a number
_SIGN = r"(?<![\w\p{Pd}\p{Pe}\u2212%‰°])[-+\u2010-\u2013\u2212\uff0b\uff0d]"  # else it is a range, or a dash
_SEPARATOR = r"(?:[.,:/'’٫٬]|(?<!\d{4})[\u00a0\u202f](?=\d{3}(?!\d)))"
_NUMBER = regex.compile(rf"(?:{_SIGN}{_HIDDEN})?\d(?:{_HIDDEN}(?:{_SEPARATOR}{_HIDDEN})?\d)*", regex.V1)


class _Kinds(dict[int, str]):
    """A table for `str.translate`: character -> part of a word, seen by nobody, or between words; filled as met."""

    def __missing__(self, code: int) -> str:
        category = unicodedata.category(chr(code))
        has_spaces = _WITHOUT_SPACES.match(chr(code)) is None
        kind = _IN_WORD if category[0] in "LMN" and has_spaces else _BETWEEN
        self[code] = kind = _UNSEEN if category == "Cf" and chr(code) != _ZERO_WIDTH_SPACE else kind
        return kind


_KINDS = _Kinds()


def word_borders(text: str, start: int, end: int) -> tuple[int, int]:
    """Grow a span whose border lies inside a word, or inside a grapheme cluster, to the border of that.

    A word is letters, digits and marks without anything between but signs that nobody sees, such as the joiners of
    Persian and Hindi; where script has no spaces, a cluster is a word.
    """
    return _grown(_borders_of_words(text), start, end)


def number_borders(text: str, start: int, end: int) -> tuple[int, int]:
    """Grow a span whose border lies inside a number to the border of that.

    A number is digits, also joined by a sign that separates thousands, decimals, hours or parts of a date or version,
    and the sign before it. Of a range such as 1990-1995 both ends are numbers.
    """
    return _grown(_borders_of_numbers(text), start, end)


def _grown(borders: Int[np.ndarray, "border"], start: int, end: int) -> tuple[int, int]:
    first, last = np.searchsorted(borders, start, side="right") - 1, np.searchsorted(borders, end)
    return int(borders[first]), int(borders[last])


@lru_cache(maxsize=16)  # all spans of a text in turn
def _borders_of_words(text: str) -> Int[np.ndarray, "border"]:
    cut = np.zeros(len(text) + 1, dtype=bool)
    cut[1:-1] = _words_go_on(text) | ~cluster_starts(text)[1:]
    return np.flatnonzero(~cut)


def _words_go_on(text: str) -> Bool[np.ndarray, "neighbours"]:
    """Return, for each two neighbours, whether the characters seen next to their border are parts of words."""
    kinds = np.frombuffer(text.translate(_KINDS).encode("ascii"), dtype=np.uint8)
    at, last = np.arange(len(kinds)), len(kinds) - 1
    is_seen, in_word = kinds != ord(_UNSEEN), kinds == ord(_IN_WORD)
    before = np.maximum.accumulate(np.where(is_seen, at, 0))
    after = np.minimum.accumulate(np.where(is_seen, at, last)[::-1])[::-1]
    go_on: Bool[np.ndarray, "neighbours"] = in_word[before[:-1]] & in_word[after[1:]]
    return go_on


@lru_cache(maxsize=16)
def _borders_of_numbers(text: str) -> Int[np.ndarray, "border"]:
    cut = np.zeros(len(text) + 1, dtype=bool)
    for number in _NUMBER.finditer(text):
        cut[number.start() + 1 : number.end()] = True
    return np.flatnonzero(~cut)
