"""Where an answer stands in its context."""

import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

import regex

from qa.data.scripts import UNSPACED

_UNITS = {"UTF-16 units": ("utf-16-le", 2), "UTF-8 bytes": ("utf-8", 1)}
"""What programs count instead of characters: the encoding, and the bytes of a unit."""
_SPACED = regex.compile(rf"[\p{{L}}\p{{M}}\p{{N}}--[{UNSPACED}]]", regex.V1)
_PREFIXED = regex.compile(r"[\p{Arabic}\p{Hebrew}]")
_SUFFIXED = regex.compile(r"[\p{Arabic}\p{Hebrew}\p{Hangul}\p{Tamil}\p{Telugu}\p{Kannada}\p{Malayalam}]")


class CharSpan(NamedTuple):
    """Characters of a context, half-open."""

    start: int
    end: int


def find_places(context: str, text: str) -> list[CharSpan]:
    """Return all places where `text` stands in `context`, in order.

    As it is; where it does not occur so, without white space around it; else in any case, white space and Unicode
    normal form; else also without white space and invisible characters. A place that ends before a mark of its last
    character counts only where there is no other.
    """
    return next(filter(None, _by_spelling(context, text)), [])


def find_words(context: str, text: str) -> list[CharSpan]:
    """Return all places where `text` stands in `context` and cuts no word, in order; spelled as for `find_places`.

    A number ends where letters follow it: `20` and `km` are words of `20km`. Scripts without spaces, such as han, kana
    and Thai, have no words to cut. Where no place is whole, one with affixes counts: on either side in Arabic and
    Hebrew, which join prepositions and articles to words, behind it in Korean and the Dravidian scripts, which join
    particles. Latin and Cyrillic words have none: a Turkish word and its suffix look like parts of an English word.
    """
    for cuts in (_cuts_word, _cuts_stem):
        for places in _by_spelling(context, text):
            if whole := [place for place in places if not cuts(context, place)]:
                return whole
    return []


def choose_place(context: str, places: list[CharSpan], start: int | None) -> CharSpan | None:
    """Return the only place, or the one that `start` means: the nearest to it. None: several, and no start.

    Browsers count characters beyond U+FFFF twice, and other programs count bytes, so a place that is exact when these
    are counted comes first.
    """
    if len(places) == 1:
        return places[0]
    if start is None or not places:
        return None
    counted = [_code_points(context, start, unit) for unit in _UNITS]
    exact = next((place for count in counted for place in places if place.start == count), None)
    return exact or min(places, key=lambda place: abs(place.start - start))


def offset_unit(context: str, place: CharSpan, start: int | None) -> str | None:
    """Return in what `start` counts if it is exact for a place when other things than characters are counted."""
    if start is None or start == place.start:
        return None
    return next((unit for unit in _UNITS if _code_points(context, start, unit) == place.start), None)


def _by_spelling(context: str, text: str) -> Iterator[list[CharSpan]]:
    for candidate in dict.fromkeys((text, text.strip())):
        yield _occurrences(context, candidate)
    for with_blanks in (True, False):
        yield _folded_places(context, text, with_blanks=with_blanks)


def _occurrences(context: str, text: str) -> list[CharSpan]:
    places, at = [], context.find(text) if text else -1
    while at >= 0:
        places.append(CharSpan(at, at + len(text)))
        at = context.find(text, at + 1)
    whole = [place for place in places if not _continues(context, place.end)]
    return whole or places


def _code_points(context: str, start: int, unit: str) -> int | None:
    """Return how many characters the first `start` units are; None where that is no whole number, or not told apart."""
    encoding, size = _UNITS[unit]
    if context.isascii() or start * size > 4 * len(context):
        return None
    try:
        return len(context.encode(encoding)[: start * size].decode(encoding))
    except UnicodeDecodeError:
        return None


# --- words --------------------------------------------------------------------------------------------------------


def _cuts_word(context: str, place: CharSpan) -> bool:
    return _in_word(context, place.start) or _in_word(context, place.end)


def _cuts_stem(context: str, place: CharSpan) -> bool:
    """Tell a place that cuts a word elsewhere than before or behind an affix."""
    cut_before = _in_word(context, place.start) and not _PREFIXED.match(context[place.start - 1])
    return cut_before or (_in_word(context, place.end) and not _SUFFIXED.match(context[place.end]))


def _in_word(context: str, at: int) -> bool:
    """Tell whether a word goes on from before `at` to after it."""
    if not 0 < at < len(context):
        return False
    before, after = context[at - 1], context[at]
    number_ends = before.isdecimal() and not after.isdecimal()
    return bool(_SPACED.match(before) and _SPACED.match(after)) and not number_ends


# --- whatever the case, white space and normal form ---------------------------------------------------------------


def _folded_places(context: str, text: str, *, with_blanks: bool) -> list[CharSpan]:
    folded, origins = _folded(context, with_blanks)
    wanted = _folded(text, with_blanks)[0].strip()
    places, at = [], folded.find(wanted) if wanted else -1
    while at >= 0:
        place = _whole_characters(context, origins, at, at + len(wanted))
        if place is not None:
            places.append(place)
        at = folded.find(wanted, at + 1)
    return places


def _whole_characters(context: str, origins: tuple[int, ...], begin: int, stop: int) -> CharSpan | None:
    """Return the characters that a stretch of folded text came from; None if it begins or ends inside one."""
    start, end = min(origins[begin:stop]), max(origins[begin:stop]) + 1
    cut_in = begin > 0 and origins[begin - 1] >= start
    cut_off = stop < len(origins) and origins[stop] < end
    return None if cut_in or cut_off or _continues(context, end) else CharSpan(start, end)


def _continues(context: str, at: int) -> bool:
    """Tell a mark or a conjoining vowel or final, which belong to the character before them."""
    following = context[at : at + 1]
    return bool(following) and (unicodedata.category(following)[0] == "M" or "\u1160" <= following <= "\u11ff")


@lru_cache(maxsize=16)
def _folded(text: str, with_blanks: bool) -> tuple[str, tuple[int, ...]]:  # a cache takes no keywords
    """Return `text` decomposed and without case, and of each character there the one in `text` it came from.

    White space becomes single spaces, or nothing; marks are in canonical order.
    """
    pairs = [(part, at) for at, character in enumerate(text) for part in _parts(character, with_blanks)]
    ordered = [pair for _, run in groupby(pairs, key=_is_mark) for pair in _in_canonical_order(list(run))]
    kept = [
        pair
        for index, pair in enumerate(ordered)
        if pair[0] != " " or not index or ordered[index - 1][0] != " "  # runs of white space are one space
    ]
    return "".join(part for part, _ in kept), tuple(at for _, at in kept)


@lru_cache(maxsize=65_536)
def _parts(character: str, with_blanks: bool) -> str:
    parts = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", character).casefold())
    if with_blanks:
        return "".join(" " if part.isspace() else part for part in parts)
    return "".join(part for part in parts if not part.isspace() and unicodedata.category(part) != "Cf")


def _is_mark(pair: tuple[str, int]) -> bool:
    return unicodedata.combining(pair[0]) > 0


def _in_canonical_order(run: list[tuple[str, int]]) -> list[tuple[str, int]]:
    return sorted(run, key=lambda pair: unicodedata.combining(pair[0])) if _is_mark(run[0]) else run
