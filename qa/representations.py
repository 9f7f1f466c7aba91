"""What notebooks show of objects: tables, and answers marked in their context, as HTML."""

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_AROUND = 300  # characters shown on either side of a mark


def html_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Build a table; texts are escaped, what is `Markup` is taken as it is."""
    cells = ["".join(f"<th>{html.escape(name)}</th>" for name in head)] if head else []
    cells += ["".join(f"<td>{_cell(value)}</td>" for value in row) for row in rows]
    return f"<table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"


class Markup(str):
    """HTML that is safe."""

    __slots__ = ()


def marked(text: str, start: int, end: int) -> Markup:
    """Return the part of a text round a span, which is marked; of an empty span nothing is."""
    begin, stop = max(start - _AROUND, 0), min(end + _AROUND, len(text))
    before, inside, after = (html.escape(part) for part in (text[begin:start], text[start:end], text[end:stop]))
    middle = f"<mark>{inside}</mark>" if inside else ""
    return Markup(f"{'…' * (begin > 0)}{before}{middle}{after}{'…' * (stop < len(text))}")


def _cell(value: object) -> str:
    if isinstance(value, Markup):
        return str(value)
    return html.escape(f"{value:.4g}" if isinstance(value, float) else str(value))


@dataclass(frozen=True)
class ShownAnswers:
    """Answers to one question, as a notebook shows them: the best one marked in its context, and all in a table."""

    answers: Sequence[Mapping[str, Any]]
    context: str

    def __repr__(self) -> str:
        return "\n".join(f"{one['score']:.2f}  {one['answer'] or '(no answer)'}" for one in self.answers)

    def _repr_html_(self) -> str:
        best = self.answers[0]
        rows = [(one["answer"] or "(no answer)", one["score"], f"{one['start']}–{one['end']}") for one in self.answers]
        table = html_table(("answer", "probability", "characters"), rows)
        return f"<p>{marked(self.context, best['start'], best['end'])}</p>{table}"


def show(answers: Mapping[str, Any] | Sequence[Mapping[str, Any]], context: str) -> ShownAnswers:
    """Show what a predictor answered from a context: one answer, or the list that `top_k` asks for."""
    return ShownAnswers([answers] if isinstance(answers, Mapping) else list(answers), context)
