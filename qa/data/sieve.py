"""All rows of a source -> tables of examples, and what was wrong with the other rows."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from qa.config import OnBadExample
from qa.data.annotations import absent
from qa.data.columns import RawRow, id_of, missing_columns, read_columns
from qa.data.ids import NO_ID, Ids
from qa.data.names import ANSWERS as NAMES_OF_ANSWERS
from qa.data.names import tidy
from qa.data.problems import Action, BadRowError, DataProblem, shown
from qa.data.references import Purpose
from qa.data.validation import validate
from qa.errors import DataError

ROWS_AT_ONCE = 1_000  # 100 MB where contexts have 100,000 characters
ANSWERS = pa.struct([("text", pa.list_(pa.string())), ("answer_start", pa.list_(pa.int32()))])
STRINGS = ("id", "title", "context", "question")
_ROW, _BLANK = "row", "blank"
_SCHEMA = pa.schema(
    [*((name, pa.string()) for name in STRINGS), ("answers", ANSWERS), (_ROW, pa.int64()), (_BLANK, pa.bool_())]
)
_WANTED_ANSWERS = "answers, as other rows have them; an empty list if impossible"
_SHOWN_NAMES = 12


@dataclass(frozen=True)
class Facts:
    """What only the whole source tells."""

    has_references: bool
    """Whether some row has answers: then a row without is a bad one."""
    has_ids: bool
    """Whether some row has an id: then a row without is a bad one."""


@dataclass
class Sieve:
    """Lets good rows through, table by table, and collects what was wrong with the others.

    Rows without an id or without answers are bad only if others have these. So tables hold such rows until `settled`
    is called with the facts, which are known when all rows have been seen.
    """

    source: str
    on_bad_example: OnBadExample
    purpose: Purpose = "spans"
    problems: list[DataProblem] = field(default_factory=list)
    read_from: dict[tuple[str, ...], None] = field(default_factory=dict)
    ignored: dict[str, None] = field(default_factory=dict)
    ids: Ids = field(default_factory=Ids)
    row: int = 0
    _has_references: bool = False

    @property
    def facts(self) -> Facts:
        """What the rows seen so far tell."""
        return Facts(self._has_references, bool(self.ids.row_of))

    def tables(self, rows: Iterator[object]) -> Iterator[pa.Table]:
        """Yield the examples of the rows that are good or could be repaired, unsettled.

        Raises:
            DataError: none of the first rows has the needed columns.
        """
        chunk = list(islice(rows, ROWS_AT_ONCE))
        self._require_columns(chunk)
        while chunk:
            examples = [example for example in map(self._example, chunk) if example is not None]
            yield pa.Table.from_pylist(examples, schema=_SCHEMA)
            chunk = list(islice(rows, ROWS_AT_ONCE))

    def all_settled(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """Yield the examples of all tables, when all rows have been seen.

        Raises:
            DataError: there are no rows.
        """
        if not self.row:
            raise DataError(f"{self.source}: no rows; wanted at least one example")
        facts = self.facts
        for table in tables:
            yield self.settled(table, facts)

    def settled(self, table: pa.Table, facts: Facts) -> pa.Table:
        """Return the examples of a table that `tables` yielded, now that the facts are known."""
        if facts.has_references:
            table = self._answered(table)
        table = self._identified(table, has_ids=facts.has_ids)
        columns = [*STRINGS, "answers"] if facts.has_references else [*STRINGS]
        return table.select(columns)

    @property
    def notes(self) -> list[str]:
        """What a user should know of the source as a whole."""
        found = [f"answers are read from {' and '.join(names)}" for names in self.read_from if names != ("answers",)]
        if self.ids.made:
            found.append(f"{self.ids.made} rows have no id: theirs are hashes of question and context")
        if self.ignored and not self._has_references:
            names = ", ".join(list(self.ignored)[:_SHOWN_NAMES])
            found.append(f"no answers are read, but these columns look like labels: {names}; wanted a column answers")
        return found

    # --- rows ---

    def _require_columns(self, chunk: list[object]) -> None:
        objects = [row for row in chunk if isinstance(row, dict)]
        names = dict.fromkeys(name for row in objects for name in row if row[name] is not None)
        missing = missing_columns(names) if objects else []
        if missing:
            raise DataError(
                f"{self.source}: no column {', '.join(missing)}; found {list(names)!a}; "
                "wanted id, context, question, and answers where there are references"
            )

    def _example(self, raw: object) -> dict[str, Any] | None:
        row, self.row = self.row, self.row + 1
        try:
            columns = self._columns(raw)
            valid = validate(columns, purpose=self.purpose, repair=self.on_bad_example == "repair")
            example_id = self._own_id(valid.example["id"], row, raw)
        except BadRowError as bad:
            self._report(bad, row, raw, self._dropped)
            self._has_references |= self.purpose != "nothing" and _has_answers(raw)
            return None
        for change in valid.changes:
            self._report(change.fault, row, raw, change.action, change.done)
        self._has_references |= valid.example["answers"] is not None
        return {**valid.example, "id": example_id, _ROW: row, _BLANK: columns.blank}

    def _columns(self, raw: object) -> RawRow:
        if not isinstance(raw, dict):
            raise BadRowError("row of wrong type", found=shown(raw), wanted="an object with id, context and question")
        columns = read_columns(raw, with_answers=self.purpose != "nothing")
        if columns.read_from:
            self.read_from.setdefault(columns.read_from)
        if columns.ignored:
            self.ignored.update(dict.fromkeys(columns.ignored))
        return columns

    def _own_id(self, example_id: str | None, row: int, raw: object) -> str | None:
        """Return the id; of two rows with the same one the second has a suffix, where that is wanted."""
        fault = self.ids.taken(example_id)
        if fault is not None and self.on_bad_example != "repair":
            raise fault
        own = None if example_id is None else self.ids.take(example_id, row)
        if fault is not None:
            self._report(fault, row, raw, "repaired", f"now {own!r}")
        return own

    @property
    def _dropped(self) -> Action:
        return "stopped" if self.on_bad_example == "error" else "skipped"

    def _report(self, fault: BadRowError, row: int, raw: object, action: Action, done: str = "") -> None:
        found_id = id_of(raw) if isinstance(raw, dict) else None
        self._add(fault, row, str(found_id) if isinstance(found_id, str | int) else "", action, done)

    def _add(self, fault: BadRowError, row: int, example_id: str, action: Action, done: str = "") -> None:
        told = {"kind": fault.kind, "found": fault.found, "wanted": fault.wanted}
        self.problems.append(DataProblem(row=row, id=example_id, action=action, done=done, **told))

    # --- facts ---

    def _answered(self, table: pa.Table) -> pa.Table:
        """Drop the rows without answers; one with an empty place for them is impossible, where repair is wanted."""
        unanswered = table.filter(pc.is_null(table["answers"])).select(["id", _ROW, _BLANK]).to_pylist()
        if not unanswered:
            return table
        fault = BadRowError("no answers", found="none", wanted=_WANTED_ANSWERS)
        empty: set[int] = set()
        for found in unanswered:
            repaired = self.on_bad_example == "repair" and found[_BLANK]
            if repaired:
                empty.add(found[_ROW])
            done = "impossible: nothing is where others have answers" if repaired else ""
            self._add(fault, found[_ROW], found["id"] or "", "repaired" if repaired else self._dropped, done)
        nothing: dict[str, list[Any]] = {"text": [], "answer_start": []}
        rows = zip(table["answers"].to_pylist(), table[_ROW].to_pylist(), strict=True)
        answers = [nothing if answer is None and row in empty else answer for answer, row in rows]
        index = table.schema.get_field_index("answers")
        table = table.set_column(index, "answers", pa.array(answers, type=ANSWERS))
        return table.filter(pc.is_valid(table["answers"]))

    def _identified(self, table: pa.Table, *, has_ids: bool) -> pa.Table:
        """Make ids where no row has one, or where repair is wanted; else drop the rows without."""
        if not table["id"].null_count:
            return table
        nameless = table.filter(pc.is_null(table["id"])).select([_ROW, "question", "context"]).to_pylist()
        if has_ids and self.on_bad_example != "repair":
            for found in nameless:
                self._add(NO_ID, found[_ROW], "", self._dropped)
            return table.filter(pc.is_valid(table["id"]))
        made = {found[_ROW]: self.ids.make(found["question"], found["context"], found[_ROW]) for found in nameless}
        if has_ids:
            for row, example_id in made.items():
                self._add(NO_ID, row, "", "repaired", f"now {example_id!r}")
        else:
            self.ids.made += len(made)
        ids = zip(table["id"].to_pylist(), table[_ROW].to_pylist(), strict=True)
        return table.set_column(0, "id", pa.array([made.get(row, example_id) for example_id, row in ids], pa.string()))


def _has_answers(raw: object) -> bool:
    """Tell whether a bad row has answers, whatever they are."""
    return isinstance(raw, dict) and any(
        tidy(name) in NAMES_OF_ANSWERS and not absent(value) for name, value in raw.items()
    )
