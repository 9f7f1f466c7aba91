"""The answers of a row -> references: checked, placed, and repaired where that is wanted."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from qa.data.annotations import Mark, absent, number_in
from qa.data.placing import CharSpan, choose_place, find_places, find_words, offset_unit
from qa.data.problems import Action, BadRowError, Change, shown

Purpose = Literal["spans", "texts", "nothing"]
"""What references are for: to train on, which takes places; to score against, which takes texts; or nothing."""
NO_PLACE = -1
"""`answer_start` of a reference that counts for scores and has no place in the context."""
_SENTINELS = frozenset(
    ("not_given", "no_answer", "noanswer", "cannotanswer", "unanswerable", "n/a", "none", "null", "nan")
)
"""What tools write for "there is no answer", where the context has no such text."""
_POINTS = re.compile("[\u0591-\u05c7\u0610-\u061a\u064b-\u0652\u0656-\u065f\u0670\u06d6-\u06ed]")
"""Vowel points and signs of recitation of Hebrew and Arabic, which most texts leave out."""
_SHOWN_PLACES = 5


class Reference(NamedTuple):
    """A right text, and where it begins; `NO_PLACE` if it has none."""

    text: str
    start: int


@dataclass
class ReferenceReader:
    """Reads the answers of one row."""

    context: str
    purpose: Purpose
    repair: bool
    changes: list[Change] = field(default_factory=list)
    _untold: list[BadRowError] = field(default_factory=list)
    """Answers that there are, as their place is told, and whose text nothing tells."""

    def read(self, marks: Sequence[Mark], *, is_impossible: bool | None) -> list[Reference]:
        """Return the references, those with a place first; an empty list for an impossible example.

        Raises:
            BadRowError: the first rule that is broken and can't be repaired.
        """
        told = [mark for mark in marks if not mark.extra] or list(marks)
        if is_impossible or (is_impossible is False and not told):
            self._settle_contradiction(told, is_impossible=is_impossible)
            return []
        found = [reference for mark in told for reference in self._of_mark(mark)]
        if self._untold and not found:
            raise self._untold[0]
        if told and not found:
            self.changes[-1] = replace(self.changes[-1], done="impossible: it stands for no answer")
        unplaced = [reference for reference in found if reference.start == NO_PLACE]
        if found and self.purpose == "spans" and len(unplaced) == len(found):
            raise next(change.fault for change in self.changes if change.action == "kept")
        placed = [reference for reference in found if reference.start != NO_PLACE]
        return placed + unplaced + _extra(marks, found)

    def _settle_contradiction(self, told: Sequence[Mark], *, is_impossible: bool) -> None:
        """Let the flag, or the lack of answers, win: a wrong answer would be learned."""
        stated = [mark.text for mark in told if not self._stands_for_nothing(mark)]
        if bool(stated) == is_impossible:
            fault = BadRowError(
                "is_impossible contradicts the answers",
                found=f"{is_impossible} and the answers {shown(stated)}",
                wanted="true without answers, or false with some",
            )
            self._repaired_or_raise(fault, "impossible, without answers")

    def _stands_for_nothing(self, mark: Mark) -> bool:
        blank = isinstance(mark.text, str) and self._is_blank(mark.text)
        return blank or (absent(mark.text) and self._end(mark) is None)

    def _of_mark(self, mark: Mark) -> list[Reference]:
        start, end = self._start(mark.start), self._end(mark)
        text = mark.text
        if absent(text) and start is not None and end is not None and start < end <= len(self.context):
            text = self.context[start:end]
        if absent(text) and start is not None:
            self._untold.append(self._textless(start, end))
            self._repaired_or_raise(self._untold[-1], "left out")
            return []
        if absent(text) or (isinstance(text, str) and self._is_blank(text)):
            fault = BadRowError("answer text blank", found=shown(mark.text), wanted="text")
            self._repaired_or_raise(fault, "left out: it stands for no answer")
            return []
        text = self._text(text)
        if start is not None and self.context.startswith(text, start):
            return [Reference(text, start)]
        if start is not None and end is not None and _alike(text, self.context[start:end]):
            return self._by_its_characters(text, start, end)
        return [self._placed(text, mark.start, start)]

    def _textless(self, start: int, end: int | None) -> BadRowError:
        inside = f"characters 0 to {len(self.context)}"
        if end is None and start < len(self.context):
            return BadRowError("answer without a text", found=f"only its start, {start}", wanted="its text, or its end")
        place = f"characters {start} to {'?' if end is None else end}"
        return BadRowError("answer outside the context", found=place, wanted=f"{inside}, the first before the last")

    def _is_blank(self, text: str) -> bool:
        bare = text.strip()
        return not bare or (bare.lower() in _SENTINELS and not find_words(self.context, bare))

    def _text(self, text: object) -> str:
        if isinstance(text, int | float) and not isinstance(text, bool):
            written = str(int(text)) if float(text).is_integer() else str(text)
            self._repaired_or_raise(_wrong_text(text), f"read as {written!r}")
            return written
        if not isinstance(text, str):
            raise _wrong_text(text)
        return _encodable(text)

    def _start(self, value: object) -> int | None:
        """Return the stated place; None: none is stated, or -1, which many tools write for that."""
        if _means_no_place(value):
            return None
        start = _whole_number(value)
        fault = BadRowError("answer_start of wrong type", found=shown(value), wanted="an integer")
        written = _whole_number(number_in(value)) if isinstance(value, str) else None
        if self.repair and written is not None and written >= 0:
            start = written
            self._note(fault, f"read as {start}")
        if start is None and self.purpose == "spans" and not self.repair:
            raise fault
        return start

    @staticmethod
    def _end(mark: Mark) -> int | None:
        return None if _means_no_place(mark.end) else _whole_number(mark.end)

    def _by_its_characters(self, text: str, start: int, end: int) -> list[Reference]:
        """Take the characters that both ends name, where the text differs from them in spelling only."""
        written = self.context[start:end]
        fault = BadRowError("answer spelled otherwise than in the context", found=shown(text), wanted=shown(written))
        self.changes.append(Change(fault, "kept", "the characters at its place count, and its text for scores"))
        return [Reference(written, start), Reference(text, NO_PLACE)]

    def _placed(self, text: str, stated: object, start: int | None) -> Reference:
        fault = self._misplacement(text, stated, start)
        if not self.repair:
            if self.purpose == "spans":
                raise fault
            if not _means_no_place(stated):
                self._note(fault, "counts for scores, without a place", "kept")
            return Reference(text, NO_PLACE)
        places = (find_words if start is None else find_places)(self.context, text)
        place = choose_place(self.context, places, start)
        if place is None:
            self._note(self._undecided(text, fault, places), "counts for scores, without a place", "kept")
            return Reference(text, NO_PLACE)
        written = self.context[place.start : place.end]
        now = "" if written == text else f" as {shown(written)}"
        unit = offset_unit(self.context, place, start)
        counted = "" if unit is None else f": its offset counts {unit}"
        self._note(fault, f"placed at character {place.start}{now}, {_rank(places, place)}{counted}")
        return Reference(written, place.start)

    def _misplacement(self, text: str, stated: object, start: int | None) -> BadRowError:
        if start is None:
            kind = "answer without a place" if _means_no_place(stated) else "answer_start of wrong type"
            at = "" if absent(stated) else f" at {shown(stated)}"
            return BadRowError(kind, found=f"{shown(text)}{at}", wanted="answer_start, the character where it begins")
        wanted = f"{shown(text)} at character {start}"
        if start + len(text) > len(self.context):
            inside = f"characters 0 to {len(self.context)}"
            return BadRowError("answer outside the context", found=wanted, wanted=inside)
        return BadRowError("answer not at its offset", found=_standing(self.context, start, text), wanted=wanted)

    def _undecided(self, text: str, fault: BadRowError, places: Sequence[CharSpan]) -> BadRowError:
        if not places:
            only_parts = " but inside words" if find_places(self.context, text) else ""
            found = f"{fault.found}, which the context does not hold{only_parts}"
            return BadRowError(fault.kind, found=found, wanted=fault.wanted)
        listed = ", ".join(str(place.start) for place in places[:_SHOWN_PLACES])
        more = ", …" if len(places) > _SHOWN_PLACES else ""
        found = f"{fault.found}, in {len(places)} places: {listed}{more}"
        return BadRowError(fault.kind, found=found, wanted="answer_start, to decide between them")

    def _repaired_or_raise(self, fault: BadRowError, done: str) -> None:
        if not self.repair:
            raise fault
        self._note(fault, done)

    def _note(self, fault: BadRowError, done: str, action: Action = "repaired") -> None:
        self.changes.append(Change(fault, action, done))


def _rank(places: Sequence[CharSpan], place: CharSpan) -> str:
    return f"{places.index(place) + 1} of {len(places)} places"


def _standing(context: str, start: int, text: str) -> str:
    """Return what a context has where a text should be, and whether it is that in another spelling."""
    there = shown(context[start : start + len(text)])
    same = any(place.start == 0 for place in find_places(context[start : start + 4 * len(text) + 4], text))
    return f"{there}, the same but for case, white space or Unicode form" if same else there


def _alike(text: str, written: str) -> bool:
    """Tell spellings that differ in case, white space, punctuation, Unicode form and points that may be left out."""
    bare, other = _bare(text), _bare(written)
    return bool(bare) and bare == other


def _bare(text: str) -> str:
    """Return the letters, digits and marks of a text, decomposed and without case: vowel signs make other words."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(one for one in _POINTS.sub("", folded) if unicodedata.category(one)[0] in "LMN")


def _extra(marks: Sequence[Mark], found: Sequence[Reference]) -> list[Reference]:
    """Return the texts that count for scores beside the answers that were found."""
    texts = {reference.text for reference in found}
    more = dict.fromkeys(mark.text for mark in marks if mark.extra and isinstance(mark.text, str))
    return [Reference(_encodable(text), NO_PLACE) for text in more if text.strip() and text not in texts]


def _means_no_place(value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return absent(value) or (is_number and float(value) < 0)  # type: ignore[arg-type]


def _whole_number(value: object) -> int | None:
    """Return an integer, also one that pandas made a float of."""
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return int(value) if whole and not isinstance(value, bool) else None  # type: ignore[call-overload]


def _wrong_text(text: object) -> BadRowError:
    return BadRowError("answer text of wrong type", found=shown(text), wanted="a string")


def _encodable(text: str) -> str:
    return encodable(text, "answer text")


def encodable(text: str, name: str) -> str:
    """Return a text that UTF-8 can hold.

    Raises:
        BadRowError: it has half of a surrogate pair.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        found = f"a lone surrogate at character {error.start}"
        raise BadRowError(f"{name} not encodable", found=found, wanted="text that UTF-8 can hold") from error
    return text
