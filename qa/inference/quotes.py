"""A quote and a source -> where it stands there: word for word, or but for how it is written. No model."""

import unicodedata
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

import regex

from qa.adaptation.words import find_sentences, find_words
from qa.data.placing import CharSpan, find_places
from qa.inference.words import number_borders, word_borders

_UNSEEN = "\u2060"
"""Stands for what a comparison leaves out; `find_places` looks past it."""
_LINE_END = "\ue000"
"""Stands for a hyphen at the end of a line, which may belong to the word or not."""
_QUOTES = "\"'`´\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u2039\u203a«»「」『』〝〞〟＂＇"
_IN_WORD = regex.compile(rf"(?<=[\p{{L}}\p{{N}}])[{_QUOTES}](?=\p{{L}})")
_AROUND = regex.compile(rf"[{_QUOTES}]")
_DASHES = regex.compile(r"[\u2010-\u2015\u2212\ufe58\ufe63\uff0d]")
_DOUBLED = regex.compile(r"(?<=-)-+")
_HYPHENATED = regex.compile(r"(?<=[\p{L}\p{M}])[-\u00ad][^\S\n]*\r?\n\s*(?=\p{L})")
_HYPHEN = regex.compile(rf"(?<=[\p{{L}}\p{{M}}])-(?=\p{{L}})|{_LINE_END}")
_OMISSION = regex.compile(r"\[\s*(?:\.{3,}|…)\s*\]|\(\s*(?:\.{3,}|…)\s*\)|\.{3,}|…")
_ENDS = " \t\r\n.,;:!?。，、；：！？"
_CITED = regex.compile(r"\[\d+(?:\s*[,–-]\s*\d+)*\]")
_QUOTED = regex.compile(
    r"\u201c([^\u201c\u201d]+)\u201d|\u201e([^\u201c\u201d\u201e]+)[\u201c\u201d]|«([^«»]+)»|»([^«»]+)«|「([^「」]+)」|『([^『』]+)』"
    r"|(?<![\p{L}\p{N}])\"([^\"]+)\"|(?<![\p{L}\p{N}])\u2018((?:[^\u2018\u2019]|\u2019(?=\p{L}))+)\u2019(?!\p{L})"
)
_LONGEST_OMISSION = 500  # characters between two parts: beyond, a quote is put together from what does not belong so
_FEWEST_WORDS = 2  # of a quotation in an answer, and of a part beside an omission: single words stand everywhere


class Standing(NamedTuple):
    """Where a quote stands in a source, and how it does."""

    verdict: Literal["verbatim", "moved"]
    start: int
    end: int


def find_quote(quote: str, source: str) -> Standing | None:
    """Find where a quote stands in a source, as whole words and numbers; None: nowhere.

    "verbatim" is character for character, white space around the quote aside. "moved" differs in white space, case or
    Unicode form, in quotation marks, dashes, punctuation at the ends, hyphens at the ends of lines, or leaves something
    out and says so by an ellipsis; its place then goes from the first to the last part.
    """
    text = quote.strip()
    if not _folded(text):
        return None
    for find in (_exact, _as_written, _within_ends, _with_omissions):
        place = next(iter(find(text, source)), None)
        if place is not None:
            is_same = source[place.start : place.end] == text
            return Standing("verbatim" if is_same else "moved", place.start, place.end)
    return None


def quoted_parts(answer: str) -> list[CharSpan]:
    """Return what of an answer is to be found in sources: its quotations, and the sentences that have none.

    A quotation is between quotation marks and of several words.
    """
    quotations = [
        CharSpan(*match.span(match.lastindex))
        for match in _QUOTED.finditer(answer)
        if len(find_words(match.group(match.lastindex))) >= _FEWEST_WORDS
    ]
    sentences = [
        CharSpan(start, end)
        for start, end in find_sentences(answer)
        if len(find_words(answer[start:end])) and all(end <= one.start or start >= one.end for one in quotations)
    ]
    return sorted(quotations + sentences)


def without_citations(text: str) -> str:
    """Drop references such as [1] or [2, 3], which point to sources and stand in none."""
    return str(_CITED.sub("", text))


# --- ways to look ---


def _exact(text: str, source: str) -> Iterator[CharSpan]:
    at = source.find(text) if text else -1
    while at >= 0:
        if _is_whole(source, place := CharSpan(at, at + len(text))):
            yield place
        at = source.find(text, at + 1)


def _as_written(text: str, source: str) -> Iterator[CharSpan]:
    """Yield whole places that are the same but for how they are written."""
    wanted, searched = _bare(text), _bare(source)
    while places := find_places(searched, wanted):
        for place in places:
            if _is_whole(source, place) and _same_hyphens(text, source[place.start : place.end]):
                yield place
        searched = _hidden(searched, places)  # an exact one that is none hides those in another case


def _hidden(text: str, places: Sequence[CharSpan]) -> str:
    characters = list(text)
    for start, end in places:
        characters[start:end] = "\0" * (end - start)
    return "".join(characters)


def _within_ends(text: str, source: str) -> Iterator[CharSpan]:
    """Yield places of the text without the punctuation around it, which the sentence that quotes it may have added."""
    inner = text.strip(_ENDS + _QUOTES)
    return _as_written(inner, source) if inner != text else iter(())


def _with_omissions(text: str, source: str) -> Iterator[CharSpan]:
    """Yield places of all parts between ellipses, one after the other."""
    parts = [part for one in _OMISSION.split(text) if (part := one.strip().strip(_ENDS + _QUOTES))]
    if len(parts) == 1 and parts[0] != text:
        yield from _as_written(parts[0], source)
    elif len(parts) > 1 and all(len(find_words(part)) >= _FEWEST_WORDS for part in parts):
        later = [sorted(_as_written(part, source)) for part in parts[1:]]
        for first in _as_written(parts[0], source) if all(later) else ():
            end = _end_of_parts(later, first.end)
            if end is not None:
                yield CharSpan(first.start, end)


def _end_of_parts(later: Sequence[Sequence[CharSpan]], begin: int) -> int | None:
    """Return where the last of the parts ends that stand one after the other from `begin`; None: they do not.

    Args:
        later: of every part its places in the source, in order.
        begin: where the part before them ends.

    """
    for places in later:
        at = bisect_left(places, (begin, 0))
        if at == len(places) or places[at].start > begin + _LONGEST_OMISSION:
            return None
        begin = places[at].end
    return begin


def _is_whole(source: str, place: CharSpan) -> bool:
    """Tell whether a place ends where words and numbers do; Korean words may go on, with particles."""
    start, end = word_borders(source, *place)
    may_go_on = "\uac00" <= source[place.end - 1] <= "\ud7a3"
    is_whole_words = start == place.start and (end == place.end or may_go_on)
    return is_whole_words and number_borders(source, *place) == place


# --- how something is written ---


def _marked(text: str) -> str:
    """Return a text of the same length with one kind of dash and apostrophe, and line ends within words marked."""
    text = _HYPHENATED.sub(lambda match: _LINE_END + _UNSEEN * (len(match[0]) - 1), _DASHES.sub("-", text))
    text = _DOUBLED.sub(lambda match: _UNSEEN * len(match[0]), text)
    return str(_AROUND.sub(_UNSEEN, _IN_WORD.sub("\0", text))).replace("\0", "'")


@lru_cache(maxsize=128)  # as many sources as a request may have, and quotes
def _bare(text: str) -> str:
    """Return a text of the same length without hyphens in words and quotation marks."""
    return str(_HYPHEN.sub(_UNSEEN, _marked(text)))


def _same_hyphens(one: str, other: str) -> bool:
    """Tell whether two texts that are the same when bare have the same hyphens, those at the ends of lines aside."""
    if one == other:
        return True
    left, right = (iter(_folded(_marked(text))) for text in (one, other))
    a, b = next(left, ""), next(right, "")
    while a or b:
        move_left, move_right = _steps(a, b)
        if not (move_left or move_right):
            return False
        a = next(left, "") if move_left else a
        b = next(right, "") if move_right else b
    return True


def _steps(a: str, b: str) -> tuple[bool, bool]:
    """Return which of two characters has its match: a hyphen at the end of a line matches one, or nothing."""
    if a == b or {a, b} == {_LINE_END, "-"}:
        return True, True
    return a == _LINE_END, b == _LINE_END


def _folded(text: str) -> str:
    parts = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(part for part in parts if not part.isspace() and unicodedata.category(part) != "Cf")
