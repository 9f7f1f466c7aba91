"""What illustrates a model's card: plots, which are files beside it, and the scores of slices."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from qa.config import RunConfig
from qa.errors import StorageError
from qa.evaluation.intervals import Interval
from qa.evaluation.mistakes import judge
from qa.files import write_whole
from qa.report.charts import line_chart, reliability_chart, standalone
from qa.report.summary import Summary, summarise
from qa.run_folder.answers import what_was_given
from qa.run_folder.curves import charts, read_history
from qa.run_folder.paths import RunPaths

RELIABILITY = "reliability.svg"
_COURSES = {"Loss": "loss.svg", "Scores (%)": "scores.svg", "F1 of further sets (%)": "further_scores.svg"}
"""Files of the charts that a history makes."""


class Plot(NamedTuple):
    """A picture beside the card."""

    title: str
    svg: str
    """Content of its file."""


def summary_of(paths: RunPaths, config: RunConfig, rows: Sequence[Mapping[str, Any]]) -> Summary | None:
    """Judge the answers of the best evaluation, as `qa errors` does.

    None where there is nothing to judge one by one: no references, or several answers that are all wanted.

    Args:
        paths: of the run.
        config: of the run.
        rows: the validation examples with references, and `windows`, their number; none where there are none.

    Raises:
        DataError, StorageError: the answers cannot be read.

    """
    if not rows or config.data.answers == "all":
        return None
    try:
        answers: dict[str, str] = json.loads(paths.predictions.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StorageError(f"cannot read {paths.predictions}: {error}") from error
    language = config.decoding.language
    return summarise(judge(rows, what_was_given(answers, paths), language=language), language=language)


def plots_of(paths: RunPaths, config: RunConfig, summary: Summary | None) -> dict[str, Plot]:
    """Draw confidence against right answers, and the courses of loss and scores; return the plots by file name.

    What the run does not know is not drawn, nor what it said only once.
    """
    drawn = {}
    if summary is not None and summary.bins:
        drawn[RELIABILITY] = Plot("Reliability", standalone(reliability_chart(summary.bins)))
    courses = charts(read_history(paths.history), config.further_validation_data())
    for title, file in _COURSES.items():
        lines = courses.get(title, {})
        if any(len(line) > 1 for line in lines.values()):
            chart = line_chart(title, lines, x_label="optimizer step", y_label=title)
            drawn[file] = Plot(title, standalone(chart))
    return drawn


def write_plots(paths: RunPaths, plots: Mapping[str, Plot]) -> None:
    """Write the plots beside the card, and remove those of an earlier card that this one does not show.

    Raises:
        StorageError: a file cannot be written.

    """
    for name in (RELIABILITY, *_COURSES.values()):
        if name in plots:
            write_whole(paths.model / name, plots[name].svg)
        else:
            (paths.model / name).unlink(missing_ok=True)


def slice_rows(summary: Summary) -> list[tuple[str, str, str, str, str]]:
    """Return a row per slice, the whole first: kind, group, examples, exact match and F1 in percent with intervals."""
    whole = ("all", "", f"{summary.examples:,}", _percent(summary.exact), _percent(summary.f1))
    slices = (
        (one.kind, one.group, f"{one.examples:,}", _percent(one.exact), _percent(one.f1)) for one in summary.slices
    )
    return [whole, *slices]


def _percent(interval: Interval) -> str:
    mean, low, high = (100 * value for value in interval)
    return f"{mean:.1f} ({low:.1f}–{high:.1f})"
