"""history.jsonl and log.txt: what a run reported, always there, and without steps that a resumed run did again.

A line of the history is a logged interval, an evaluation, or nothing else: `step`, `seconds` from the run's start over
all attempts, and named numbers. The log has all lines that a terminal shows and the steps that a progress bar hides.
"""

import json
import math
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from qa.errors import StorageError
from qa.files import write_whole
from qa.run_folder.curves import SECONDS, read_history
from qa.run_folder.paths import RunPaths
from qa.training.progress import Progress

_STEP_OF_LINE = re.compile(r"^\S+ INFO step (\d+)(/|:)")


class History:
    """What a run logs, line by line, with the time that all its attempts took."""

    def __init__(self, path: Path) -> None:
        """Start this attempt's clock."""
        self._path, self._began = path, time.monotonic()
        self._before: float | None = None

    def append(self, values: Mapping[str, Any]) -> None:
        """Add a line.

        Raises:
            StorageError: it cannot be written.

        """
        if self._before is None:  # not earlier: what is done again is forgotten first
            lines = read_history(self._path)
            self._before = max((line.get(SECONDS) or 0.0 for line in lines), default=0.0)
        append_line(self._path, {**values, SECONDS: round(self._before + time.monotonic() - self._began, 3)})


def append_line(path: Path, values: Mapping[str, Any]) -> None:
    """Add a line of JSON; numbers that JSON does not have become null.

    Raises:
        StorageError: it cannot be written.

    """
    plain = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in values.items()
    }
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(plain) + "\n")
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error


def forget_later_lines(paths: RunPaths, progress: Progress) -> None:
    """Remove what an attempt reported after the checkpoint that the run continues from; warnings and errors stay."""
    _keep_lines(paths.history, lambda line: _is_done(line, progress), torn=False)
    _keep_lines(paths.log, lambda line: _is_logged_before(line, progress), torn=True)


def _is_done(line: str, progress: Progress) -> bool:
    try:
        values = json.loads(line)
    except ValueError:  # cut by a kill, and written on
        return False
    is_evaluation = any(name.startswith("eval/") for name in values)
    return bool(values["step"] < progress.step + (0 if is_evaluation and progress.evaluation_due else 1))


def _is_logged_before(line: str, progress: Progress) -> bool:
    found = _STEP_OF_LINE.match(line)
    is_evaluation = found is not None and found[2] == ":"
    return found is None or int(found[1]) < progress.step + (0 if is_evaluation and progress.evaluation_due else 1)


def _keep_lines(path: Path, is_kept: Callable[[str], bool], *, torn: bool) -> None:
    """Write a file anew with some of its lines; a last line that a kill cut is kept only if `torn`."""
    if not path.is_file():
        return
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    whole = lines if torn else [line for line in lines if line.endswith("\n")]
    kept = [line for line in whole if is_kept(line)]
    if kept != lines:
        write_whole(path, "".join(kept))
