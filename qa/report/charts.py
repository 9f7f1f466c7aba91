"""Numbers -> charts in SVG, for a page, which has their style and says values on hovering, or as files of their own."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files

from qa.evaluation.intervals import Interval
from qa.report.summary import ReliabilityBin

Number = int | float
Points = Sequence[tuple[Number, Number]]
_WIDTH, _HEIGHT = 420, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 12, 40
_MOST_TICKS = 6
_BAR_WIDTH, _BAR_HEIGHT = 160, 14
_KEY_HEIGHT = 16  # of a line of the legend
_ON_PAPER = {
    "paper": "#fff",
    "line": "#d5d9de",
    "quiet": "#5c6773",
    "s0": "#1f5fa8",
    "s1": "#b3541e",
    "s2": "#2e7d4f",
    "s3": "#7a4fa3",
}
"""The colours of a file: those of a page in light, whatever surrounds it."""
_COLOURS = 4  # of lines, s0 and so on; after these they come again, dashed


@dataclass(frozen=True, kw_only=True)
class _Axes:
    """A rectangle of the picture, and the numbers at its borders."""

    x: tuple[Number, Number]
    y: tuple[Number, Number]

    def place(self, x: Number, y: Number) -> tuple[float, float]:
        """Return where a point is drawn."""
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
        return round(_LEFT + across * width, 1), round(_HEIGHT - _BOTTOM - up * height, 1)


def line_chart(
    title: str,
    lines: Mapping[str, Points],
    *,
    x_label: str,
    y_label: str,
    y_range: tuple[Number, Number] | None = None,
) -> str:
    """Draw lines over a common axis, each with a dot per point where there are few.

    Args:
        title: what screen readers say.
        lines: points by name, at least one of them with a point.
        x_label: below the picture.
        y_label: beside it.
        y_range: smallest and largest number; None: those of the points.

    """
    points = [point for line in lines.values() for point in line]
    axes = _Axes(x=_range([x for x, _ in points]), y=y_range or _range([y for _, y in points]))
    parts = [*_frame(axes, x_label, y_label)]
    for at, (name, line) in enumerate(lines.items()):
        parts.append(f'<polyline class="line {_series(at)}" points="{_path(axes, line)}"/>')
        for x, y in line if len(line) <= 60 else ():
            parts.append(_dot(axes, x, y, f"{name}: {number(y)} at {number(x)}", _series(at)))
    return _picture(title, parts, list(lines) if len(lines) > 1 else [])


def reliability_chart(bins: Sequence[ReliabilityBin]) -> str:
    """Draw the share of right answers over confidence, with intervals, beside the line of perfect confidence."""
    axes = _Axes(x=(0, 1), y=(0, 1))
    parts = [*_frame(axes, "confidence", "share of right answers")]
    parts.append(f'<polyline class="guide" points="{_path(axes, [(0, 0), (1, 1)])}"/>')
    parts.append(f'<polyline class="line s0" points="{_path(axes, [(b.confidence, b.right.mean) for b in bins])}"/>')
    for one in bins:
        whisker = _path(axes, [(one.confidence, one.right.low), (one.confidence, one.right.high)])
        parts.append(f'<polyline class="whisker s0" points="{whisker}"/>')
        said = f"{one.examples} answers of confidence {one.confidence:.2f}: {one.right.mean:.0%} right"
        parts.append(_dot(axes, one.confidence, one.right.mean, said, "s0"))
    return _picture("Reliability diagram", parts)


def standalone(chart: str) -> str:
    """Return a chart as the content of a file, with its style: dark on white."""
    style = re.sub(r"var\(--(\w+)\)", lambda found: _ON_PAPER[found[1]], chart_style())
    opening, _, rest = chart.removeprefix("<svg").partition(">")
    paper = f'<rect width="100%" height="100%" fill="{_ON_PAPER["paper"]}"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg"{opening}><style>{style}</style>{paper}{rest}\n'


def chart_style() -> str:
    """Return the style of charts, in the colours that a page names."""
    return (files("qa.report") / "page" / "chart.css").read_text(encoding="utf-8")


def interval_bar(interval: Interval) -> str:
    """Draw a share of 1 as a bar with its interval, to stand in a table's cell."""
    middle = _BAR_HEIGHT / 2
    low, mean, high = (round(_BAR_WIDTH * value, 1) for value in (interval.low, interval.mean, interval.high))
    return (
        f'<svg class="bar" width="{_BAR_WIDTH}" height="{_BAR_HEIGHT}" aria-hidden="true">'
        f'<rect class="s0" width="{mean}" height="{_BAR_HEIGHT}"/>'
        f'<path class="whisker" d="M{low} {middle}H{high}M{low} 3V{_BAR_HEIGHT - 3}M{high} 3V{_BAR_HEIGHT - 3}"/></svg>'
    )


def number(value: Number) -> str:
    """Return a number as a label shows it: four digits that count."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.4g}"


def ticks(low: Number, high: Number) -> list[float]:
    """Return round numbers from `low` to `high`, at most six, equally far apart."""
    power = 10.0 ** math.floor(math.log10((high - low) / _MOST_TICKS))
    steps = (power * factor for factor in (1, 2, 5, 10, 20))
    step = next(step for step in steps if (high - low) / step <= _MOST_TICKS - 1 + 1e-9)
    first = math.ceil(low / step - 1e-9)
    return [round(at * step, 12) for at in range(first, math.floor(high / step + 1e-9) + 1)]


def _range(values: Sequence[Number]) -> tuple[Number, Number]:
    """Return the least and the greatest value, apart from each other."""
    low, high = min(values), max(values)
    return (low, high) if low < high else (low - 1, high + 1)


def _frame(axes: _Axes, x_label: str, y_label: str) -> Iterator[str]:
    (left, bottom), (right, top) = axes.place(axes.x[0], axes.y[0]), axes.place(axes.x[1], axes.y[1])
    for value in ticks(*axes.y):
        _, y = axes.place(axes.x[0], value)
        yield f'<path class="grid" d="M{left} {y}H{right}"/>'
        yield f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">{number(value)}</text>'
    for value in ticks(*axes.x):
        x, _ = axes.place(value, axes.y[0])
        yield f'<text x="{x}" y="{bottom + 16}" text-anchor="middle">{number(value)}</text>'
    yield f'<path class="axis" d="M{left} {top}V{bottom}H{right}"/>'
    middle = (top + bottom) / 2
    yield f'<text x="{(left + right) / 2}" y="{_HEIGHT - 6}" text-anchor="middle">{escape(x_label)}</text>'
    yield f'<text transform="translate(12 {middle}) rotate(-90)" text-anchor="middle">{escape(y_label)}</text>'


def _path(axes: _Axes, points: Points) -> str:
    return " ".join(f"{x},{y}" for x, y in (axes.place(*point) for point in points))


def _dot(axes: _Axes, x: Number, y: Number, said: str, name: str) -> str:
    across, down = axes.place(x, y)
    return f'<circle class="{name}" cx="{across}" cy="{down}" r="3.5"><title>{escape(said)}</title></circle>'


def _picture(title: str, parts: Sequence[str], keys: Sequence[str] = ()) -> str:
    height = _HEIGHT + _KEY_HEIGHT * len(keys)
    legend = (_key(at, name) for at, name in enumerate(keys))
    return (
        f'<svg class="chart" width="{_WIDTH}" height="{height}" '
        f'viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}{''.join(legend)}</svg>"
    )


def _key(at: int, name: str) -> str:
    top = _HEIGHT + _KEY_HEIGHT * at
    line = f'<path class="line {_series(at)}" d="M{_LEFT} {top + 5}h18"/>'
    return f'{line}<text x="{_LEFT + 24}" y="{top + 9}">{escape(name)}</text>'


def _series(at: int) -> str:
    return f"s{at % _COLOURS}{' again' if at >= _COLOURS else ''}"
