"""history.jsonl -> values over steps and over minutes."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qa.errors import StorageError

STEP, SECONDS = "step", "seconds"
"""Names of a line's optimizer step, and of the seconds from the run's start, all attempts together."""


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


def _parsed(line: str, place: str) -> dict[str, Any]:
    try:
        values = json.loads(line)
    except ValueError as error:
        raise StorageError(f"{place} is not JSON: {error}") from error
    if not isinstance(values, dict) or not isinstance(values.get(STEP), int):
        raise StorageError(f"{place}: found {line:.80}; wanted an object with an integer {STEP}")
    return values
