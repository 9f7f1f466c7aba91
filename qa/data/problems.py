"""What is wrong with a row, and what was done about it."""

import reprlib
from dataclasses import dataclass
from typing import Literal

Action = Literal["stopped", "skipped", "repaired", "kept"]
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
    """`kept`: the reference counts for scores as it is, but has no place, so that nothing is trained on it."""
    done: str = ""
    """What the repair was."""

    def __str__(self) -> str:
        done = f"; {self.done}" if self.done else ""
        return f"row {self.row}, id {self.id!r}: {self.kind}: found {self.found}; wanted {self.wanted}{done}"


class BadRowError(Exception):
    """A rule that a row breaks."""

    def __init__(self, kind: str, *, found: str, wanted: str) -> None:
        """Take the rule's name, and what was found and wanted."""
        super().__init__(kind)
        self.kind, self.found, self.wanted = kind, found, wanted


@dataclass(frozen=True, slots=True)
class Change:
    """What was wrong with a row that became an example all the same."""

    fault: BadRowError
    action: Action
    done: str


def shown(value: object) -> str:
    """Return a value as messages show it, cut where it is long."""
    return _SHORT.repr(value)
