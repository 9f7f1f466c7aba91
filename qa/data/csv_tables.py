"""Tables as text: comma, semicolon, tab or bar between cells, the first line for their names."""

import csv
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from qa.data.names import IS_IMPOSSIBLE, known_name, tidy
from qa.data.text_files import lines
from qa.errors import DataError

_SEPARATORS = ",;\t|"
_SAID = re.compile(r'"?sep=(.)"?\s*')  # what spreadsheets put first
_TRUTHS = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False, "": None}


def separator_of(first_line: str) -> str | None:
    """Return what stands between the names of columns; None if the line names none that is known.

    Other lines do not count: texts hold commas, semicolons and tabs.
    """
    said = _SAID.fullmatch(first_line)
    if said:
        return said[1]
    counts = {separator: sum(map(known_name, _names(first_line, separator))) for separator in _SEPARATORS}
    best = max(_SEPARATORS, key=lambda separator: counts[separator])
    return best if counts[best] else None


def table_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table as texts by the names of its columns.

    Raises:
        DataError: not a table, or a row with too many or too few cells, with its line.

    """
    csv.field_size_limit(2**31 - 1)  # the default of 131,072 characters is shorter than some contexts
    texts = (line for _, line in lines(path))
    first = next(texts, "")
    said = _SAID.fullmatch(first)
    separator = separator_of(first.splitlines()[0])
    assert separator is not None, "the caller has looked at the first line"
    cells = csv.reader(texts if said else itertools.chain([first], texts), delimiter=separator, strict=True)
    skipped = 1 if said else 0
    began = 1 + skipped
    try:
        names = [name.strip() for name in next(cells, [])]
        began = cells.line_num + skipped + 1
        for row in cells:
            if row and len(row) != len(names):  # blank lines hold no cells
                place = _lines(began, cells.line_num + skipped)
                wanted = f"{len(names)}, with {separator!r} between them"
                raise DataError(f"{path}: {place}: found {len(row)} cells; wanted {wanted}")
            began = cells.line_num + skipped + 1
            if row:
                yield {name: _cell(name, text) for name, text in zip(names, row, strict=True)}
    except csv.Error as error:
        place = _lines(began, cells.line_num + skipped)
        raise DataError(f"{path}: {place} is not CSV: {error}") from error


def _lines(first: int, last: int) -> str:
    """Return which lines a row is on; an unpaired quote makes it go on to the next one."""
    return f"line {first}" if last <= first else f"line {first}, where a row begins that goes on to line {last},"


def _cell(name: str, text: str) -> object:
    """Return a cell's text, or the truth value that a table can only write as text."""
    return _TRUTHS.get(text.strip().lower(), text) if tidy(name) in IS_IMPOSSIBLE else text


def _names(first_line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([first_line], delimiter=separator), [])
    except csv.Error:
        return []
