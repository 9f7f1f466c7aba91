"""A text -> stretches that are marked alike."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

Place = tuple[int, int]
"""Half-open, in characters of the text."""
Stretch = tuple[str, tuple[str, ...]]
"""A piece of a text, and the names of the marks that lie on it."""
ANSWER, REFERENCE = "answer", "reference"
_BRACKETS = {ANSWER: (">>>", "<<<"), REFERENCE: ("[[[", "]]]")}


def stretches(text: str, marks: Mapping[str, Sequence[Place]]) -> Iterator[Stretch]:
    """Cut a text where its marks, which may overlap, begin and end: stretches, each with the names that lie on it."""
    borders = sorted({0, len(text), *(border for places in marks.values() for place in places for border in place)})

    def names_on(stretch: Place) -> tuple[str, ...]:
        begin, end = stretch
        return tuple(name for name, places in marks.items() if any(a <= begin and end <= b for a, b in places))

    for names, alike in itertools.groupby(itertools.pairwise(borders), key=names_on):
        yield "".join(text[begin:end] for begin, end in alike), names


def around(length: int, places: Sequence[Place], *, characters: int) -> Place:
    """Return the stretch of a text of that length that holds all places and so many characters on either side.

    Without a place it begins at the text's beginning.
    """
    begin = min((start for start, _ in places), default=0)
    end = max((stop for _, stop in places), default=0)
    return max(begin - characters, 0), min(end + characters, length)


def marked_part(text: str, answers: Sequence[Place], references: Sequence[Place], *, characters: int) -> list[Stretch]:
    """Return the part of a text that holds all places and so many characters around them, with dots where it is cut."""
    begin, end = around(len(text), [*answers, *references], characters=characters)
    marks = {
        name: [(start - begin, stop - begin) for start, stop in places]
        for name, places in ((ANSWER, answers), (REFERENCE, references))
    }
    dots: tuple[Stretch, Stretch] = ("…" * (begin > 0), ()), ("…" * (end < len(text)), ())
    return [dots[0], *stretches(text[begin:end], marks), dots[1]]


def bracketed(parts: Iterable[Stretch]) -> str:
    """Return a text with its marks as brackets: `>>>answer<<<`, `[[[reference]]]`, `>>>[[[both]]]<<<`."""
    return "".join(
        "".join(_BRACKETS[name][0] for name in names) + text + "".join(_BRACKETS[name][1] for name in reversed(names))
        for text, names in parts
    )
