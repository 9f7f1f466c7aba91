"""A flat row under any program's names -> the columns of an example, unchecked."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, TypeGuard

from qa.data.annotations import NOT_ANNOTATED, Mark, NotAnnotated, absent, marks_at, read_marks, with_places
from qa.data.names import (
    ANSWERS,
    CONTEXT,
    ENDS,
    ID,
    IS_IMPOSSIBLE,
    LABELS,
    QUESTION,
    STARTS,
    TITLE,
    looks_like_labels,
    tidy,
)
from qa.data.problems import BadRowError
from qa.errors import DataError

_PLAIN = frozenset(("answer", "answer_text", "text"))
"""Columns of one text."""
_TEXTUAL = frozenset((*ANSWERS, *_PLAIN))
_OF_ANSWER = ("answer", "span")
"""How the names of places begin that are an answer's, and not a paragraph's or a recording's."""
_IOB2 = ("I", "O", "B")
_JUDGED = {"prompt", "answer", "labels"}
"""Columns of a generated answer with labelled stretches (RAGTruth, LettuceDetect): they are looked for in it, and the
prompt is the question."""


class RawRow(NamedTuple):
    """What a row says, unchecked."""

    id: object
    title: object
    context: object
    question: object
    is_impossible: object
    marks: list[Mark] | None
    """None: no annotation."""
    blank: bool
    """Whether there is a column for answers with nothing in this row, and nothing says that it is not annotated."""
    read_from: tuple[str, ...]
    """Columns that the answers were read from."""
    ignored: tuple[str, ...]
    """Columns with values, by their names labels, that were not read."""


class _Layout(NamedTuple):
    """Which of a row's names are which column, by preference."""

    id: tuple[str, ...]
    title: tuple[str, ...]
    context: tuple[str, ...]
    question: tuple[str, ...]
    is_impossible: tuple[str, ...]
    answers: tuple[str, ...]
    starts: tuple[str, ...]
    ends: tuple[str, ...]
    places: tuple[str, ...]
    """Where an answer begins and ends, where no column can be its text."""
    ignored: tuple[str, ...]


def id_of(row: Mapping[str, Any]) -> object:
    """Return what a row has as its id."""
    return _first(row, _layout(tuple(row)).id)


class TextColumns(NamedTuple):
    """Names of columns that hold a row's texts, by preference."""

    question: tuple[str, ...]
    context: tuple[str, ...]

    def read(self, row: Mapping[str, Any]) -> dict[str, object]:
        """Return the question and the context of a row."""
        return {"question": _first(row, self.question), "context": _first(row, self.context)}


def text_columns(names: Iterable[str]) -> TextColumns:
    """Return which of a row's or a table's columns hold questions and contexts.

    Raises:
        DataError: none does.

    """
    names = tuple(names)
    if missing := missing_columns(names):
        raise DataError(f"no column {', '.join(missing)}; found {list(names)!a}; wanted question and context")
    layout = _layout(names)
    return TextColumns(layout.question, layout.context)


def missing_columns(names: Iterable[str]) -> list[str]:
    """Return the columns that are needed and that none of these names stands for."""
    layout = _layout(tuple(names))
    return [column for column, found in (("context", layout.context), ("question", layout.question)) if not found]


def read_columns(row: Mapping[str, Any], *, with_answers: bool = True) -> RawRow:
    """Read a row, with or without its answers.

    Raises:
        BadRowError: answers in a layout that is not known.
    """
    layout = _layout(tuple(row))
    row = _untagged(row, layout)
    marks, read_from = _marks(row, layout) if with_answers else (None, ())
    ignored = () if read_from or not with_answers else tuple(name for name in layout.ignored if not absent(row[name]))
    return RawRow(
        id=_first(row, layout.id),
        title=_first(row, layout.title),
        context=_first(row, layout.context),
        question=_first(row, layout.question),
        is_impossible=_first(row, layout.is_impossible),
        marks=None if marks is NOT_ANNOTATED else marks,
        blank=marks is None and bool(layout.places or any(tidy(name) in ANSWERS for name in layout.answers)),
        read_from=read_from,
        ignored=ignored,
    )


def _untagged(row: Mapping[str, Any], layout: _Layout) -> Mapping[str, Any]:
    """Return words with a tag for each (IOB2), as MultiSpanQA has them, as texts with places of answers.

    Without any tags or answers, as in its test set, question and context become texts where both are words.
    """
    others = (*layout.context, *layout.question)
    for name in layout.answers:
        words, tags = _first(row, layout.context), row[name]
        if _are_words(words) and _are_words(tags) and len(tags) == len(words) and all(tag in _IOB2 for tag in tags):
            return {**row, **_joined(row, others), name: _places(words, tags)}
    words = [_first(row, names) for names in (layout.context, layout.question)]
    tagless = all(map(_are_words, words)) and all(absent(row[name]) for name in layout.answers)
    return {**row, **_joined(row, others)} if tagless else row


def _joined(row: Mapping[str, Any], names: Iterable[str]) -> dict[str, str]:
    return {name: " ".join(row[name]) for name in names if _are_words(row[name])}


def _are_words(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and bool(value) and all(isinstance(one, str) for one in value)


def _places(words: list[str], tags: list[str]) -> list[list[int]]:
    """Return the first character, and the one after the last, of all that is tagged as one."""
    places: list[list[int]] = []
    start, before = 0, "O"
    for word, tag in zip(words, tags, strict=True):
        if tag == "B" or (tag == "I" and before == "O"):
            places.append([start, start + len(word)])
        elif tag == "I":
            places[-1][1] = start + len(word)
        start, before = start + len(word) + 1, tag
    return places


def _first(row: Mapping[str, Any], names: Iterable[str]) -> object:
    """Return the first value that is something; an empty text only where there is nothing else."""
    empty = None
    for name in names:
        value = row[name]
        if value == "":
            empty = ""
        elif not absent(value):
            return value
    return empty


@lru_cache(maxsize=1024)
def _layout(names: tuple[str, ...]) -> _Layout:
    by_tidy: dict[str, str] = {}
    for name in names:
        by_tidy.setdefault(tidy(name), name)

    def present(wanted: Iterable[str]) -> tuple[str, ...]:
        return tuple(by_tidy[name] for name in wanted if name in by_tidy)

    context, answers, starts = present(CONTEXT), present((*ANSWERS, *LABELS)), present(STARTS)
    if len(context) > 1 and tidy(context[-1]) == "text":  # beside a context and places it is the answer's
        answers += context[-1:] if starts else ()
        context = context[:-1]
    question = present(QUESTION)
    if not (context or question) and by_tidy.keys() >= _JUDGED:
        context, question, answers = present(("answer",)), present(("prompt",)), present(("labels",))
    ends, has_texts = present(ENDS), any(tidy(name) in _TEXTUAL for name in answers)
    of_answer = [name for name in (*starts[:1], *ends[:1]) if tidy(name).startswith(_OF_ANSWER)]
    places = tuple(of_answer) if len(of_answer) == 2 and not has_texts else ()
    read, labels = {*context, *starts}, {*answers, *(() if has_texts else starts)}
    return _Layout(
        id=present(ID),
        title=present(TITLE),
        context=context,
        question=question,
        is_impossible=present(IS_IMPOSSIBLE),
        answers=answers,
        starts=starts,
        ends=ends,
        places=places,
        ignored=tuple(name for name in names if name in labels or (looks_like_labels(name) and name not in read)),
    )


def _marks(row: Mapping[str, Any], layout: _Layout) -> tuple[list[Mark] | NotAnnotated | None, tuple[str, ...]]:
    """Read the first column of answers that has some, and the columns of their places."""
    for name in layout.answers:
        value = _submitted(row, name)
        marks = None if value == "" else _readable_marks(value, tidy(name))
        if marks is None:
            continue
        if marks is NOT_ANNOTATED:
            return marks, ()
        starts = _first(row, layout.starts)
        if tidy(name) == "detected_answers":
            return marks + _other_texts(row, layout), (name,)
        placed = with_places(marks, starts, _first(row, layout.ends))
        return placed, (name, *(layout.starts[:1] if placed != marks else ()))
    marks = marks_at(*(row[name] for name in layout.places)) if layout.places else None
    return marks, layout.places if marks is not None else ()


def _submitted(row: Mapping[str, Any], name: str) -> object:
    """Return a column without the responses that annotators discarded, as a column beside it says on the hub.

    `NOT_ANNOTATED`: there are no others.
    """
    value, status = row[name], f"{name}.status"
    if status in row and (absent(value) or value == []):
        return NOT_ANNOTATED
    statuses = row.get(status)
    if isinstance(value, list) and isinstance(statuses, list) and len(statuses) == len(value):
        kept = [one for one, status in zip(value, statuses, strict=True) if status in {None, "submitted"}]
        return kept or NOT_ANNOTATED
    return value


def _readable_marks(value: object, name: str) -> list[Mark] | NotAnnotated | None:
    """Read a column; one that may hold something else only if it holds spans."""
    try:
        marks = read_marks(value)
    except BadRowError:
        if name in _PLAIN and isinstance(value, str):
            return [Mark(value)]  # "[1] Smith" is no list
        if name in ANSWERS:
            raise
        return None
    if marks is NOT_ANNOTATED or name in ANSWERS or name in _PLAIN:
        return marks
    return marks if marks is not None and all(mark.start is not None for mark in marks) else None


def _other_texts(row: Mapping[str, Any], layout: _Layout) -> list[Mark]:
    """Return MRQA's accepted answers, which need not occur in the context."""
    texts = next((row[name] for name in layout.answers if tidy(name) == "answers"), None)
    return [Mark(text, extra=True) for text in texts if isinstance(text, str)] if isinstance(texts, list) else []
