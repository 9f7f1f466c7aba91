"""history.jsonl -> values over steps and over minutes, and the charts that are drawn of them."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qa.errors import StorageError
from qa.report.charts import Points

STEP, SECONDS = "step", "seconds"
"""Names of a line's optimizer step, and of the seconds from the run's start, all attempts together."""
_CHARTS = {
    "Loss": {"train/loss": "loss"},
    "Scores (%)": {
        "eval/exact_match": "exact",
        "eval/exact": "exact",
        "eval/f1": "F1",
        "eval/best_f1": "best F1",
        "eval/exact_f1": "exact F1",
        "eval/overlap_f1": "overlap F1",
    },
    "Learning rate": {"train/learning_rate": "learning rate"},
}
"""What is drawn: by chart, the name of each value here and there."""
_FURTHER = "F1 of further sets (%)"
_MOST_POINTS = 1000  # of a line: more than a chart is wide


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A value that a run reported, in the order of its steps."""

    steps: tuple[int, ...] = ()
    values: tuple[float, ...] = ()
    minutes: tuple[float, ...] | None = None
    """From the run's start; None where a line does not say."""


def read_history(path: Path) -> list[dict[str, Any]]:
    """Read the lines of a run's history; none where it has no such file.

    A last line that a kill cut is left out.

    Raises:
        StorageError: it cannot be read, or another line is no JSON object with a step.

    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(f"cannot read {path}: {error}") from error
    return [_parsed(line, f"{path}, line {number}") for number, line in enumerate(lines[:-1], start=1)]


def curve(history: list[dict[str, Any]], name: str) -> Curve:
    """Return the course of a value; numbers that were not finite are left out."""
    lines = sorted((line for line in history if line.get(name) is not None), key=lambda line: line[STEP])
    seconds = [line.get(SECONDS) for line in lines]
    timed = [value / 60 for value in seconds if value is not None]
    return Curve(
        steps=tuple(line[STEP] for line in lines),
        values=tuple(float(line[name]) for line in lines),
        minutes=tuple(timed) if len(timed) == len(lines) else None,
    )


def charts(history: list[dict[str, Any]], further: Iterable[str] = ()) -> dict[str, dict[str, Points]]:
    """Return what is drawn of a history over optimizer steps: by chart, by line; nothing that it does not hold.

    Args:
        history: its lines.
        further: names of the further sets that were scored.

    """
    sets = {f"eval/{name}/{score}": name for name in further for score in ("f1", "overlap_f1")}
    drawn = {chart: _lines(history, names) for chart, names in {**_CHARTS, _FURTHER: sets}.items()}
    return {chart: lines for chart, lines in drawn.items() if lines}


def _lines(history: list[dict[str, Any]], names: Mapping[str, str]) -> dict[str, Points]:
    curves = {label: curve(history, name) for name, label in names.items() if any(name in line for line in history)}
    return {label: _thinned(one) for label, one in curves.items() if one.steps}


def _thinned(one: Curve) -> Points:
    """Return as many points as a chart can show, the first and the last among them."""
    points = list(zip(one.steps, one.values, strict=True))
    apart = max(1, -(-(len(points) - 1) // (_MOST_POINTS - 1)))
    return [*points[:-1:apart], points[-1]]


def _parsed(line: str, place: str) -> dict[str, Any]:
    try:
        values = json.loads(line)
    except ValueError as error:
        raise StorageError(f"{place} is not JSON: {error}") from error
    if not isinstance(values, dict) or not isinstance(values.get(STEP), int):
        raise StorageError(f"{place}: found {line:.80}; wanted an object with an integer {STEP}")
    return values
