"""What commands print: JSON for programs; marked texts and tables for people."""

import json
import math
import sys
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from qa.report.marking import ANSWER, REFERENCE, Stretch, bracketed

_WIDE = 10_000  # columns, where there is no terminal to fold lines for
_AROUND = 400  # characters shown on either side of a marked span
_STYLES = {ANSWER: "bold reverse", REFERENCE: "underline green"}


def print_json(value: object) -> None:
    """Print one line of JSON; numbers that JSON does not have become null.

    Characters that the stream may not have (cp1252) are escaped, as JSON allows.
    """
    takes_all = (sys.stdout.encoding or "ascii").lower().replace("-", "") == "utf8"
    sys.stdout.write(json.dumps(_plain(value), ensure_ascii=not takes_all, allow_nan=False) + "\n")


def print_marked(text: str, start: int, end: int) -> None:
    """Print the text around a span with the span marked: by colour on a terminal, else by `>>>` and `<<<`."""
    console = Console(soft_wrap=True, highlight=False)
    begin, stop = max(start - _AROUND, 0), min(end + _AROUND, len(text))
    left, right = ("", "") if console.is_terminal else (">>>", "<<<")
    marked = Text("…" if begin else "").append(text[begin:start])
    if start < end:
        marked.append(f"{left}{text[start:end]}{right}", style="bold reverse")
    console.print(marked.append(text[end:stop]).append("…" if stop < len(text) else ""))


def print_stretches(parts: Sequence[Stretch]) -> None:
    """Print a text with its answers and references marked: by colour on a terminal, else by brackets."""
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
