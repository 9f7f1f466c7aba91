"""A raw row -> an example, or the rule it breaks; repair."""

import reprlib
from dataclasses import dataclass, field
from typing import Any, Literal

from qa.config import OnBadExample

Action = Literal["stopped", "skipped", "repaired"]
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80


@dataclass(frozen=True, kw_only=True, slots=True)
class DataProblem:
    """What was wrong with one row, and what was done about it; `row` counts from 0 in the order of the source."""

    row: int
    id: str
    kind: str
    found: str
    wanted: str
    action: Action

    def __str__(self) -> str:
        return f"row {self.row}, id {self.id!r}: {self.kind}: found {self.found}; wanted {self.wanted}"


class _BadRowError(Exception):
    """The first rule that a row breaks."""

    def __init__(self, kind: str, *, found: str, wanted: str) -> None:
        super().__init__(kind)
        self.kind, self.found, self.wanted = kind, found, wanted


@dataclass
class Sieve:
    """Lets good rows through, chunk by chunk, and keeps what was wrong with the others."""

    on_bad_example: OnBadExample
    problems: list[DataProblem] = field(default_factory=list)
    unanswered: list[DataProblem] = field(default_factory=list)  # problems only if other rows have answers
    has_references: bool = False
    row: int = 0
    row_of_id: dict[str, int] = field(default_factory=dict)

    @property
    def _dropped(self) -> Action:
        return "stopped" if self.on_bad_example == "error" else "skipped"

    def examples(self, raw_rows: list[object]) -> list[dict[str, Any]]:
        """Return the examples of the rows that are good or could be repaired."""
        found = [self._example(raw) for raw in raw_rows]
        return [example for example in found if example is not None]

    def _example(self, raw: object) -> dict[str, Any] | None:
        row, self.row = self.row, self.row + 1
        answers = raw.get("answers") if isinstance(raw, dict) else None
        self.has_references |= answers is not None
        try:
            example = self._checked(raw)
            moves = _fit_answers(example, answers, repair=self.on_bad_example == "repair")
        except _BadRowError as bad:
            self.problems.append(_problem(bad, row, raw, self._dropped))
            return None
        self.problems.extend(_problem(move, row, raw, "repaired") for move in moves)
        self.row_of_id[example["id"]] = row
        if answers is None:
            wanted = "answers, as other rows have them; an empty list if impossible"
            none = _BadRowError("no answers", found="none", wanted=wanted)
            self.unanswered.append(_problem(none, row, raw, self._dropped))
        return example

    def _checked(self, raw: object) -> dict[str, Any]:
        if not isinstance(raw, dict):
            raise _BadRowError("row of wrong type", found=_shown(raw), wanted="an object with id, context and question")
        example = {"id": _id(raw.get("id")), "title": _title(raw.get("title"))}
        example |= {name: _filled(_string(raw.get(name), name), name) for name in ("context", "question")}
        other = self.row_of_id.get(example["id"])
        if other is not None:
            raise _BadRowError("duplicate id", found=f"the id of row {other}", wanted="an id of its own")
        return example


def _problem(bad: _BadRowError, row: int, raw: object, action: Action) -> DataProblem:
    found_id = raw.get("id") if isinstance(raw, dict) else None
    example_id = str(found_id) if isinstance(found_id, str | int) else ""
    return DataProblem(row=row, id=example_id, kind=bad.kind, found=bad.found, wanted=bad.wanted, action=action)


def _shown(value: object) -> str:
    return _SHORT.repr(value)


def _id(value: object) -> str:
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    return _filled(_string(str(value) if is_integer else value, "id"), "id")


def _title(value: object) -> str:
    return "" if value is None else _string(value, "title")


def _string(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise _BadRowError(f"{name} of wrong type", found=_shown(value), wanted="a string")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        found = f"a lone surrogate at character {error.start}"
        raise _BadRowError(f"{name} not encodable", found=found, wanted="text that UTF-8 can hold") from error
    return value


def _filled(text: str, name: str) -> str:
    if not text or text.isspace():
        raise _BadRowError(f"{name} blank", found=_shown(text), wanted="text")
    return text


def _fit_answers(example: dict[str, Any], answers: object, *, repair: bool) -> list[_BadRowError]:
    """Put the checked answers into `example`; return what was wrong with those that had to be moved."""
    moves: list[_BadRowError] = []
    example["answers"] = None
    if answers is None:
        return moves
    pairs = _pairs(answers)
    for index, (text, start) in enumerate(pairs):
        try:
            _check_answer(example["context"], text, start)
        except _BadRowError as bad:
            place = _nearest(example["context"], text, start) if repair else None
            if place is None:
                raise
            pairs[index] = (text, place)
            moves.append(bad)
    example["answers"] = {"text": [text for text, _ in pairs], "answer_start": [start for _, start in pairs]}
    return moves


def _pairs(answers: object) -> list[tuple[Any, Any]]:
    """Return (text, start) pairs of either layout, {"text": […], "answer_start": […]} or [{"text", "answer_start"}]."""
    if isinstance(answers, list) and all(isinstance(answer, dict) for answer in answers):
        return [(answer.get("text"), answer.get("answer_start")) for answer in answers]
    columns = answers if isinstance(answers, dict) else {}
    texts, starts = columns.get("text"), columns.get("answer_start")
    if not (isinstance(texts, list) and isinstance(starts, list)):
        wanted = "lists text and answer_start, or a list of objects with these"
        raise _BadRowError("answers of wrong type", found=_shown(answers), wanted=wanted)
    if len(texts) != len(starts):
        found = f"{len(texts)} text and {len(starts)} answer_start"
        raise _BadRowError("answers of mixed lengths", found=found, wanted="as many of one as of the other")
    return list(zip(texts, starts, strict=True))


def _check_answer(context: str, text: object, start: object) -> None:
    text = _filled(_string(text, "answer text"), "answer text")
    if not isinstance(start, int) or isinstance(start, bool):
        raise _BadRowError("answer_start of wrong type", found=_shown(start), wanted="an integer")
    if start < 0 or start + len(text) > len(context):
        place = f"{_shown(text)} at character {start}"
        raise _BadRowError("answer outside the context", found=place, wanted=f"characters 0 to {len(context)}")
    if not context.startswith(text, start):
        found, wanted = _shown(context[start : start + len(text)]), f"{_shown(text)} at character {start}"
        raise _BadRowError("answer not at its offset", found=found, wanted=wanted)


def _nearest(context: str, text: object, start: object) -> int | None:
    """Return where `text` occurs nearest to `start`; where it occurs only once if `start` is no number; else none."""
    if not isinstance(text, str) or not text or text.isspace():
        return None
    if not isinstance(start, int) or isinstance(start, bool):
        first = context.find(text)
        return first if first >= 0 and first == context.rfind(text) else None
    ahead, end = context.find(text, max(start, 0)), max(start, 0) + len(text)
    places = [place for place in (context.rfind(text, 0, end), ahead) if place >= 0]
    return min(places, key=lambda place: abs(place - start), default=None)
