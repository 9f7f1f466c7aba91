"""A raw row -> an example, or the rule it breaks."""

from typing import Any, NamedTuple

from qa.data.annotations import absent
from qa.data.columns import RawRow
from qa.data.problems import Action, BadRowError, Change, DataProblem, shown
from qa.data.references import Purpose, ReferenceReader, encodable

__all__ = ["Action", "DataProblem", "ValidRow", "validate"]
_TRUTHS = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False, "1.0": True, "0.0": False}


class ValidRow(NamedTuple):
    """An example, and what had to be changed for it."""

    example: dict[str, Any]
    """The columns of `Examples`; `id` is None where there is none, `answers` where there is no annotation."""
    changes: list[Change]


def validate(row: RawRow, *, purpose: Purpose, repair: bool) -> ValidRow:
    """Return the example that a row is.

    Raises:
        BadRowError: the first rule that the row breaks and that can't be repaired.
    """
    example: dict[str, Any] = {"id": _id(row.id), "title": "" if row.title is None else _text(row.title, "title")}
    example |= {name: _filled(getattr(row, name), name) for name in ("context", "question")}
    reader = ReferenceReader(example["context"], purpose, repair)
    example["answers"] = None if purpose == "nothing" else _answers(row, reader)
    return ValidRow(example, reader.changes)


def _answers(row: RawRow, reader: ReferenceReader) -> dict[str, list[Any]] | None:
    is_impossible = _truth(row.is_impossible, reader)
    marks = [] if row.marks is None and is_impossible else row.marks
    if marks is None:
        return None
    references = reader.read(marks, is_impossible=is_impossible)
    return {"text": [one.text for one in references], "answer_start": [one.start for one in references]}


def _truth(value: object, reader: ReferenceReader) -> bool | None:
    if absent(value) or value in (True, False):  # also 1 and 0, which tables have for these
        return None if absent(value) else bool(value)
    fault = BadRowError("is_impossible of wrong type", found=shown(value), wanted="true or false")
    truth = _TRUTHS.get(str(value).strip().lower())
    if truth is None or not reader.repair:
        raise fault
    reader.changes.append(Change(fault, "repaired", f"read as {str(truth).lower()}"))
    return truth


def _id(value: object) -> str | None:
    if absent(value) or (isinstance(value, str) and not value.strip()):
        return None
    is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return str(int(value)) if is_whole and not isinstance(value, bool) else _text(value, "id")  # type: ignore[call-overload]


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise BadRowError(f"{name} of wrong type", found=shown(value), wanted="a string")
    return encodable(value, name)


def _filled(value: object, name: str) -> str:
    text = _text(value, name)
    if not text.strip():
        raise BadRowError(f"{name} blank", found=shown(text), wanted="text")
    return text
