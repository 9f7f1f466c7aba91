"""Answers in any layout -> marks: a text, where it begins, where it ends, each as far as it is told."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, Final, NamedTuple

from qa.data.cells import holds_structure, parse_cell
from qa.data.names import ENDS, IS_IMPOSSIBLE, STARTS, TEXTS, tidy
from qa.data.problems import BadRowError, shown

_NONE = ("no_answer", *IS_IMPOSSIBLE)
_REJECTED = ("discarded", "draft", "pending")
_SPAN_RESULTS = frozenset(("labels", "hypertextlabels", "paragraphlabels", "textarea"))
_WANTED = "lists text and answer_start, or a list of objects with these"


class NotAnnotated(Enum):
    """What stands where answers do if nobody has annotated, or if nothing that was annotated counts."""

    NOT_ANNOTATED = "not annotated"


NOT_ANNOTATED: Final = NotAnnotated.NOT_ANNOTATED


class Mark(NamedTuple):
    """One answer as the source tells it, unchecked; what it does not tell is None."""

    text: object
    start: object = None
    end: object = None
    """Half-open."""
    extra: bool = False
    """Whether it counts for scores only, beside others that have places."""


def read_marks(answers: object) -> list[Mark] | NotAnnotated | None:
    """Return the marks of SQuAD's two layouts, of one object, of plain texts, or as an annotation tool writes them.

    None: nothing is there. `NOT_ANNOTATED`: all annotations were rejected. An empty list: there is no answer.

    Raises:
        BadRowError: another layout.
    """
    if answers is NOT_ANNOTATED or _is_rejected(answers):
        return NOT_ANNOTATED
    if absent(answers):
        return None
    if isinstance(answers, str):
        return read_marks(_structure(answers)) if holds_structure(answers) else [Mark(answers)]
    if isinstance(answers, dict):
        return _squad_marks(answers) or list(_object_marks(answers))
    if isinstance(answers, list):
        return list(_list_marks(answers))
    if isinstance(answers, bool):
        raise _wrong_type(answers)
    return [Mark(answers)]


def _squad_marks(answers: Mapping[str, Any]) -> list[Mark]:
    """Read SQuAD's columns at once; all that is for other objects would do the same."""
    texts, starts = answers.get("text"), answers.get("answer_start")
    squad = len(answers) == 2 and isinstance(texts, list) and isinstance(starts, list) and len(texts) == len(starts)
    return list(map(Mark, texts, starts)) if squad else []  # type: ignore[arg-type]


def _is_rejected(answer: object) -> bool:
    """Tell an annotation that does not count (Argilla, Label Studio), or a list of such alone."""
    if isinstance(answer, list):
        return bool(answer) and all(map(_is_rejected, answer))
    return isinstance(answer, dict) and (answer.get("status") in _REJECTED or bool(answer.get("was_cancelled")))


def _structure(text: str) -> object:
    try:
        found = parse_cell(text)
    except ValueError as error:
        raise BadRowError("answers of wrong type", found=shown(text), wanted=f"{_WANTED}; it is {error}") from error
    return [] if found is None else found


def _list_marks(answers: Sequence[Any]) -> Iterator[Mark]:
    for answer in answers:
        if _is_rejected(answer):
            continue
        if isinstance(answer, dict):
            yield from _object_marks(answer)
        elif answer is None or isinstance(answer, str):
            yield Mark(answer)
        elif isinstance(answer, list) and len(answer) >= 2 and all(type(bound) is int for bound in answer[:2]):
            yield Mark(None, answer[0], answer[1])  # doccano, spaCy: [start, end, label]
        elif isinstance(answer, list) and all(isinstance(item, dict) for item in answer):
            yield from _list_marks(answer)  # a list by annotator
        else:
            raise _wrong_type(answers)


def _object_marks(answer: Mapping[str, Any]) -> Iterator[Mark]:
    answer = {tidy(name): value for name, value in answer.items()}
    if not answer or _marks_nothing(answer):
        return
    if "result" in answer:  # an annotation of Label Studio
        yield from _list_marks(answer["result"] or [])
    elif "sourcer_answers" in answer:  # NewsQA
        yield from _list_marks(answer["sourcer_answers"])
    elif isinstance(answer.get("value"), dict | list):  # a result of Label Studio, a response of Argilla
        if "from_name" not in answer or answer.get("type") in _SPAN_RESULTS:
            found = read_marks(answer["value"])
            yield from found if isinstance(found, list) else []
    elif "char_spans" in answer:
        yield from _mrqa_marks(answer)
    else:
        yield from _plain_marks(answer)


def _marks_nothing(answer: Mapping[str, Any]) -> bool:
    """Return whether an object says that there is no answer, or only relates others (Label Studio)."""
    return any(answer.get(name) is True for name in _NONE) or answer.keys() >= {"from_id", "to_id"}


def _plain_marks(answer: Mapping[str, Any]) -> Iterator[Mark]:
    """Read one object with a text and a start, or SQuAD's columns of these."""
    bounds = answer.get("global_offsets") or answer  # Label Studio: in the whole text, not in its element
    text, start, end = _first(answer, TEXTS), _first(bounds, STARTS), _end(bounds)
    if text is _MISSING and start is _MISSING:
        raise _wrong_type(answer)
    if isinstance(text, str) and isinstance(start, list):  # one text, in each of these places
        text = [text] * len(start)
    if isinstance(text, list):
        if {"number", "date"} & answer.keys() and len(text) != 1:
            raise BadRowError("answer of several parts", found=shown(answer), wanted="one span of the context")
        yield from _columns(text, start, end)
    else:
        told = [None if value is _MISSING else value for value in (text, start, end)]
        yield Mark(told[0], told[1], told[2])


def _end(bounds: Mapping[str, Any]) -> Any:  # noqa: ANN401  # whatever stands there
    """Return where an answer ends, also where its start and its length are told."""
    start, length = _first(bounds, STARTS), bounds.get("length")
    by_length = type(start) is int and start >= 0 and type(length) is int
    return start + length if by_length and not any(name in bounds for name in ENDS) else _first(bounds, ENDS)


def _columns(texts: Sequence[object], starts: object, ends: object) -> Iterator[Mark]:
    if starts is _MISSING or (starts is None and not texts):
        yield from map(Mark, texts)
        return
    if not isinstance(starts, list):
        starts = [starts] if len(texts) == 1 else starts
    if not isinstance(starts, list):
        raise _wrong_type({"text": texts, "answer_start": starts})
    if len(texts) != len(starts):
        found = f"{len(texts)} text and {len(starts)} answer_start"
        raise BadRowError("answers of mixed lengths", found=found, wanted="as many of one as of the other")
    same = isinstance(ends, list) and len(ends) == len(texts)
    yield from map(Mark, texts, starts, ends if same else [None] * len(texts))  # type: ignore[call-overload]


def _mrqa_marks(answer: Mapping[str, Any]) -> Iterator[Mark]:
    """Read MRQA's detected answers, whose spans hold their last character; the hub has them in columns."""
    texts, spans = answer.get("text"), answer["char_spans"]
    listed = zip(texts, spans, strict=False) if isinstance(texts, list) else [(texts, spans)]
    for text, places in listed:
        bounds = _pairs_of(places)
        if not bounds or not all(isinstance(bound, int) for pair in bounds for bound in pair):
            raise BadRowError(
                "char_spans of wrong type", found=shown(places), wanted="pairs of first and last character"
            )
        yield from (Mark(text, first, last + 1) for first, last in bounds)


def _pairs_of(places: object) -> list[tuple[Any, Any]]:
    if isinstance(places, dict):
        return list(zip(_listed(places.get("start")), _listed(places.get("end")), strict=False))
    if isinstance(places, list) and all(isinstance(place, dict) for place in places):
        return [pair for place in places for pair in _pairs_of(place)]
    if isinstance(places, list) and all(isinstance(place, list) and len(place) == 2 for place in places):
        return [(first, last) for first, last in places]
    return []


def with_places(marks: Iterable[Mark], starts: object, ends: object) -> list[Mark]:
    """Put the places of columns of their own into marks that have none."""
    marks = list(marks)
    if any(mark.start is not None for mark in marks) or absent(starts):
        return marks
    texts: list[object] = [mark.text for mark in marks]
    return list(_columns(texts, _numbers(starts), _MISSING if absent(ends) else _numbers(ends)))


def marks_at(starts: object, ends: object) -> list[Mark] | None:
    """Return the marks of columns that have places and no texts; None: not both ends are told."""
    if absent(starts) or absent(ends) or "" in (starts, ends):
        return None
    firsts, lasts = _numbers(starts), _numbers(ends)
    return list(_columns([None] * len(firsts), firsts, lasts))


def _numbers(value: object) -> list[object]:
    """Return one number in a list, and numbers out of text, as cells of a table have them."""
    if isinstance(value, str):
        value = _structure(value) if holds_structure(value) else value
    return [number_in(item) for item in (value if isinstance(value, list) else [value])]


def number_in(value: object) -> object:
    """Return the number that a text is; a blank one is None, and whatever else there is stays as it is."""
    if not isinstance(value, str):
        return value
    try:
        return float(value) if value.strip() else None
    except ValueError:
        return value


_MISSING = object()


def _first(values: Mapping[str, Any], names: Iterable[str]) -> Any:  # noqa: ANN401  # whatever stands there
    return next((values[name] for name in names if name in values), _MISSING)


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def absent(value: object) -> bool:
    """Tell what stands for nothing: None, the NaN that pandas makes of it, and `NOT_ANNOTATED`."""
    return value is None or value is NOT_ANNOTATED or (isinstance(value, float) and math.isnan(value))


def _wrong_type(answers: object) -> BadRowError:
    return BadRowError("answers of wrong type", found=shown(answers), wanted=_WANTED)
