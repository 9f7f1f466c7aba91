"""sweep.json: which settings were proposed, and how far each run of a sweep has come."""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from qa.errors import SweepError
from qa.experiments.settings import Setting, Trial
from qa.experiments.sweep_file import Value
from qa.files import write_json
from qa.run_folder.paths import RunPaths

FILE = "sweep.json"
Status = Literal["running", "finished", "failed", "stopped"]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What is known of a run."""

    setting: dict[str, Value]
    seed: int | None
    flags: dict[str, Value]
    status: Status
    attempts: int = 1
    seconds: float = 0.0
    """Of all attempts, starting and reading included."""
    exit_status: int | None = None


@dataclass
class Ledger:
    """The record of a sweep, written after each change."""

    path: Path
    runs: dict[str, Entry] = field(default_factory=dict)
    """By name."""
    proposed: list[dict[str, Value]] = field(default_factory=list)
    """Settings of a search, in their order."""
    _writing: threading.Lock = field(default_factory=threading.Lock)
    """Runs are begun by threads."""

    @classmethod
    def open(cls, folder: Path) -> "Ledger":
        """Read the record of a sweep's folder; a new one where there is none.

        Raises:
            SweepError: it is damaged.

        """
        path = folder / FILE
        if not path.is_file():
            return cls(path)
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            runs = TypeAdapter(dict[str, Entry]).validate_python(values["runs"])
            return cls(path, runs, list(values["proposed"]))
        except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
            raise SweepError(f"cannot read {path}: {error}") from error

    def is_finished(self, trial: Trial, folder: Path) -> bool:
        """Return whether a run has ended well, and what it left is still there."""
        entry = self.runs.get(trial.name)
        return entry is not None and entry.status == "finished" and RunPaths(folder).metrics.is_file()

    def begin(self, trial: Trial) -> None:
        """Write down that a run was started, or resumed."""
        earlier = self.runs.get(trial.name)
        entry = Entry(
            setting=dict(trial.setting),
            seed=trial.seed,
            flags=dict(trial.flags),
            status="running",
            attempts=1 + (earlier.attempts if earlier is not None else 0),
            seconds=earlier.seconds if earlier is not None else 0.0,
        )
        self._note(trial.name, entry)

    def end(self, name: str, status: Status, *, exit_status: int | None, seconds: float) -> None:
        """Write down how a run ended."""
        entry = self.runs[name]
        seconds += entry.seconds
        self._note(name, replace(entry, status=status, exit_status=exit_status, seconds=seconds))

    def propose(self, setting: Setting) -> None:
        """Write down the next setting of a search."""
        self.proposed.append(dict(setting))
        self._write()

    def scores(self, folder: Path) -> Mapping[str, Any] | None:
        """Return the scores that a run left; None where it left none that can be read."""
        try:
            found: dict[str, Any] = json.loads(RunPaths(folder).metrics.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return found

    def _note(self, name: str, entry: Entry) -> None:
        with self._writing:
            self.runs[name] = entry
            self._write()

    def _write(self) -> None:
        adapter = TypeAdapter(dict[str, Entry])
        write_json(self.path, {"proposed": self.proposed, "runs": adapter.dump_python(self.runs, mode="json")})
