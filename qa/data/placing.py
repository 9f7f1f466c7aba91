"""Where an answer stands in its context."""

import unicodedata
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple


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
    for candidate in dict.fromkeys((text, text.strip())):
        places = _occurrences(context, candidate)
        if places:
            return places
    return _folded_places(context, text, with_blanks=True) or _folded_places(context, text, with_blanks=False)


def choose_place(context: str, places: list[CharSpan], start: int | None) -> CharSpan | None:
    """Return the only place, or the one that `start` means: the nearest to it. None: several, and no start.

    Browsers count characters beyond U+FFFF twice, so a place that is exact when these are counted so comes first.
    """
    if len(places) == 1:
        return places[0]
    if start is None or not places:
        return None
    counted_by_browser = _code_points(context, start)
    exact = next((place for place in places if place.start == counted_by_browser), None)
    return exact or min(places, key=lambda place: abs(place.start - start))


def _occurrences(context: str, text: str) -> list[CharSpan]:
    places, at = [], context.find(text) if text else -1
    while at >= 0:
        places.append(CharSpan(at, at + len(text)))
        at = context.find(text, at + 1)
    whole = [place for place in places if not _continues(context, place.end)]
    return whole or places


def _code_points(context: str, units: int) -> int | None:
    """Return how many characters the first `units` UTF-16 units are; None where every character is one."""
    if units > 2 * len(context) or max(context) <= "\uffff":
        return None
    return len(context.encode("utf-16-le")[: 2 * units].decode("utf-16-le", "ignore"))


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
