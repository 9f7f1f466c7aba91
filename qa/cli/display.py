"""What commands print: JSON for programs; marked texts and tables for people."""

import json
import math
import sys
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from qa.report.marking import ANSWER, REFERENCE, Place, bracketed, marked_part

_WIDE = 10_000  # columns, where there is no terminal to fold lines for
_AROUND = 400
_STYLES = {ANSWER: "bold reverse", REFERENCE: "underline green"}


def print_json(value: object) -> None:
    """Print one line of JSON; numbers that JSON does not have become null.

    Characters that the stream may not have (cp1252) are escaped, as JSON allows.
    """
    takes_all = (sys.stdout.encoding or "ascii").lower().replace("-", "") == "utf8"
    sys.stdout.write(json.dumps(_plain(value), ensure_ascii=not takes_all, allow_nan=False) + "\n")


def print_marked(
    text: str, answers: Sequence[Place], references: Sequence[Place] = (), *, characters: int = _AROUND
) -> None:
    """Print the part of a text that has answers and references, marked: by colour on a terminal, else by brackets.

    Args:
        text: the whole.
        answers: places in it.
        references: places in it.
        characters: that are shown on either side.

    """
    parts = marked_part(text, answers, references, characters=characters)
    console = Console(soft_wrap=True, highlight=False, markup=False)
    if console.is_terminal:
        console.print(Text.assemble(*((text, " ".join(_STYLES[name] for name in names)) for text, names in parts)))
    else:
        console.print(bracketed(parts))


def print_line(line: str) -> None:
    """Print a line as it is."""
    Console(soft_wrap=True, highlight=False, markup=False).print(line)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; numbers are to the right, and white space in texts is made plain."""
    table = Table(box=None, pad_edge=False)
    for at, name in enumerate(columns):
        numeric = all(isinstance(row[at], int | float) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(
            *(Text(f"{cell:.4g}" if isinstance(cell, float) else " ".join(str(cell).split())) for cell in row)
        )
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDE
    console.print(table)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
