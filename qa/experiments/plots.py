"""Plots of sweeps and comparisons, as PNG, SVG or PDF. Figures only: no window, and no state of the library's."""

from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from qa.errors import StorageError
from qa.experiments.comparison import Comparison, SystemScores
from qa.experiments.statistics import Estimate
from qa.run_folder.curves import Curve

_WIDTH, _ROW, _PANEL = 8.0, 0.32, 4.0  # inches
_MOST_SLICES = 16
_GREY = "0.6"


def plot_comparison(comparison: Comparison, path: Path) -> None:
    """Draw F1 over steps and over minutes, and the differences with intervals, overall and by slice.

    Raises:
        StorageError: the file cannot be written, or its name ends with no format that can be drawn.

    """
    estimates, label = _shown_differences(comparison)
    height = _ROW * (len(estimates) + 3)
    figure = Figure(figsize=(_WIDTH * 1.25, _PANEL + height), layout="constrained")
    parts = figure.subfigures(2, 1, squeeze=False, height_ratios=(_PANEL, height))
    left, right = parts[0, 0].subplots(1, 2)
    _draw_curves(left, comparison.systems, "step", lambda curve: curve.steps)
    _draw_curves(right, comparison.systems, "minutes", lambda curve: curve.minutes)
    axes = parts[1, 0].subplots()
    _draw_estimates(axes, list(estimates.items()), [[] for _ in estimates])
    axes.axvline(0, color=_GREY, linewidth=1)
    axes.set_xlabel(label)
    _save(figure, path)


def plot_estimates(
    rows: Sequence[tuple[str, Estimate]], single: Sequence[Sequence[float]], path: Path, *, label: str
) -> None:
    """Draw a mean with its interval and the single values, a line of each row, the first one on top.

    Raises:
        StorageError: the file cannot be written, or its name ends with no format that can be drawn.

    """
    figure = Figure(figsize=(_WIDTH, _ROW * (len(rows) + 3)), layout="constrained")
    axes = figure.add_subplot()
    _draw_estimates(axes, rows, single)
    axes.set_xlabel(label)
    _save(figure, path)


def _shown_differences(comparison: Comparison) -> tuple[dict[str, Estimate], str]:
    """Return the slices of the only difference, or all differences of several, and what the numbers are."""
    first = _plain(comparison.systems[0].name)
    if len(comparison.differences) > 1:
        overall = {one.second: one.f1 for one in comparison.differences}
        return overall, f"F1 minus that of {first}, in points"
    (difference,) = comparison.differences
    shown = {f"{one.name} ({one.examples})": one.f1 for one in difference.slices[:_MOST_SLICES]}
    label = f"F1 of {_plain(difference.second)} minus that of {first}, in points"
    return {"all": difference.f1} | shown, label


def _draw_estimates(axes: Axes, rows: Sequence[tuple[str, Estimate]], single: Sequence[Sequence[float]]) -> None:
    for at, ((_, estimate), values) in enumerate(zip(rows, single, strict=True)):
        low = estimate.mean if estimate.low is None else estimate.low
        high = estimate.mean if estimate.high is None else estimate.high
        axes.plot([low, high], [at, at], color="C0", linewidth=2)
        axes.plot([estimate.mean], [at], "o", color="C0")
        axes.plot(values, [at] * len(values), "|", color=_GREY, markersize=10)
    axes.set_yticks(range(len(rows)), [_plain(name) for name, _ in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(visible=True, axis="x", linewidth=0.3)


def _draw_curves(
    axes: Axes,
    systems: Sequence[SystemScores],
    label: str,
    of: Callable[[Curve], Sequence[float] | None],
) -> None:
    for number, system in enumerate(systems):
        named = False
        for curve in system.curves:
            places = of(curve)
            if places:
                name = "_" if named else _plain(system.name)
                axes.plot(places, curve.values, ".-", color=f"C{number % 10}", label=name, linewidth=1)
                named = True
    axes.set_xlabel(label)
    axes.set_ylabel("F1")
    axes.grid(visible=True, linewidth=0.3)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(fontsize="small")
    else:
        axes.text(0.5, 0.5, "not reported", ha="center", transform=axes.transAxes)


def _plain(text: str) -> str:
    """Keep the library from reading formulas between dollar signs, and a leading underscore as "no label"."""
    return text.replace("$", r"\$").lstrip("_") or " "


def _save(figure: Figure, path: Path) -> None:
    try:
        figure.savefig(path, dpi=150)
    except (OSError, ValueError) as error:
        raise StorageError(f"cannot draw {path}: {error}") from error
