"""Judged answers -> one page of HTML that needs nothing from elsewhere."""

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files

from qa.evaluation.intervals import Interval
from qa.evaluation.mistakes import MISTAKES, JudgedAnswer, Mistake
from qa.evaluation.slices import groups_of
from qa.report.charts import Points, chart_style, interval_bar, line_chart, reliability_chart
from qa.report.marking import marked_part
from qa.report.summary import SliceScores, Summary

KIND_NAMES: dict[Mistake | None, str] = {
    "missed": "no answer, where there is one",
    "invented": "an answer, where there is none",
    "boundary": "another boundary",
    "elsewhere": "another place",
    None: "right",
}
"""What a reader of the page calls each kind of answer."""
_AROUND = 700  # characters shown on either side of what is marked


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a page shows."""

    title: str
    subtitle: str
    summary: Summary
    shown: Sequence[JudgedAnswer]
    """Answers that are listed, mistakes and right ones."""
    language: str = "en"
    curves: Mapping[str, Mapping[str, Points]] = field(default_factory=dict)
    """Courses over optimizer steps: by chart, by line."""


def page(report: Report) -> str:
    """Return the page; whatever texts hold is shown as text."""
    style, script = _asset("report.css") + chart_style(), _asset("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'"
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<title>{escape(report.title)}</title><link rel="icon" href="data:,"><style>{style}</style></head>',
            f'<body><main><h1>{escape(report.title)}</h1><p class="quiet">{escape(report.subtitle)}</p>',
            *_overview(report.summary),
            *_charts(report),
            *_slices(report.summary.slices),
            *_answers(report),
            f"</main><script>{script}</script></body></html>\n",
        ]
    )


def _asset(name: str) -> str:
    return (files("qa.report") / "page" / name).read_text(encoding="utf-8")


def _overview(summary: Summary) -> Iterator[str]:
    tiles = [("exact match", _percent(summary.exact)), ("F1", _percent(summary.f1))]
    if summary.calibration_error is not None:
        tiles.append(("calibration error", f"{100 * summary.calibration_error:.1f} %"))
    counts = [(KIND_NAMES[kind], f"{summary.mistakes.get(kind, 0):,}") for kind in (None, *MISTAKES)]
    yield f'<p>{summary.examples:,} examples; intervals hold with 95 % confidence.</p><ul class="tiles">'
    yield from (f"<li><b>{escape(value)}</b>{escape(name)}</li>" for name, value in (*tiles, *counts))
    yield "</ul>"


def _percent(interval: Interval) -> str:
    mean, low, high = (100 * value for value in interval)
    return f"{mean:.1f} % ({low:.1f}–{high:.1f})"


def _charts(report: Report) -> Iterator[str]:
    summary = report.summary
    charts = {}
    if summary.bins:
        charts["Reliability: how often answers of a confidence are right"] = reliability_chart(summary.bins)
        charts["Risk over coverage: wrong answers among the most confident ones"] = line_chart(
            "Risk over coverage",
            {"wrong": summary.risk_at_coverage},
            x_label="share of questions answered",
            y_label="share of wrong answers",
            y_range=(0, max(0.01, *(risk for _, risk in summary.risk_at_coverage))),
        )
    for name, lines in report.curves.items():
        charts[name] = line_chart(name, lines, x_label="optimizer step", y_label="")
    if charts:
        yield '<h2>Charts</h2><div class="charts">'
        yield from (f"<figure><figcaption>{escape(name)}</figcaption>{svg}</figure>" for name, svg in charts.items())
        yield "</div>"


def _slices(slices: Sequence[SliceScores]) -> Iterator[str]:
    yield '<h2>Slices</h2><div class="scroll"><table id="slices"><thead><tr><th>by</th><th>group</th>'
    yield '<th class="n">examples</th><th class="n">exact</th><th></th><th class="n">F1</th><th></th></tr></thead>'
    yield "<tbody>"
    kinds: set[str] = set()
    for one in slices:
        kind = "" if one.kind in kinds else one.kind
        kinds.add(one.kind)
        scores = (f'<td class="n">{_percent(i)}</td><td>{interval_bar(i)}</td>' for i in (one.exact, one.f1))
        yield f'<tr><td class="quiet">{escape(kind)}</td><td>{escape(one.group)}</td>'
        yield f'<td class="n">{one.examples:,}</td>{"".join(scores)}</tr>'
    yield "</tbody></table></div>"


def _answers(report: Report) -> Iterator[str]:
    yield '<h2>Answers</h2><div class="filters">'
    for kind in (*MISTAKES, None):
        checked = " checked" if kind is not None else ""
        box = f'<input type="checkbox" name="kind" value="{kind or "right"}"{checked}>'
        yield f"<label>{box} {escape(KIND_NAMES[kind])}</label>"
    names = [f"{one.kind}: {one.group}" for one in report.summary.slices]
    options = "".join(f"<option>{escape(name)}</option>" for name in names)
    yield f'<select id="slice" aria-label="Slice"><option value="">all slices</option>{options}</select>'
    yield '<input type="search" id="words" placeholder="Search" aria-label="Search">'
    yield '<span id="shown" class="quiet" role="status"></span></div>'
    for answer in report.shown:
        yield from _answer(answer, report.language)


def _answer(answer: JudgedAnswer, language: str) -> Iterator[str]:
    row, given = answer.row, answer.given
    groups = [f"{kind}: {group}" for kind, group in groups_of(row, language=language).items() if group is not None]
    share = "" if given.probability is None else f", probability {given.probability:.2f}"
    references = " | ".join(answer.references) or "(no answer)"
    yield f'<article data-kind="{answer.mistake or "right"}" data-slices="{escape("|".join(groups))}">'
    yield f'<h3 dir="auto">{escape(row["question"])}</h3>'
    yield f'<p><span class="kind">{escape(KIND_NAMES[answer.mistake])}</span> '
    yield f'<span class="quiet">{escape(row["id"])}, F1 {100 * answer.f1:.0f}{share}</span></p>'
    yield f'<p>answer: <mark class="answer" dir="auto">{escape(given.text or "(no answer)")}</mark></p>'
    yield f'<p>reference: <mark class="reference" dir="auto">{escape(references)}</mark></p>'
    yield f'<div class="context" dir="auto">{_marked(answer)}</div></article>'


def _marked(answer: JudgedAnswer) -> str:
    answers = [] if answer.given.place is None else [answer.given.place]
    parts = marked_part(answer.row["context"], answers, answer.reference_places, characters=_AROUND)
    return "".join(
        f'<mark class="{" ".join(names)}">{escape(text)}</mark>' if names else escape(text) for text, names in parts
    )
