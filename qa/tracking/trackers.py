"""Which trackers there are, and how each starts: accelerate's, one at a time."""

import contextlib
import logging
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.tracking import GeneralTracker

from qa.checks import flat_values
from qa.config import RunConfig, config_values
from qa.runtime.energy import ENERGY_FILE, EnergyMeter
from qa.runtime.environment import describe_environment
from qa.tracking.mlflow import start_mlflow
from qa.tracking.reporter import Outcome, Reporter, Tracker
from qa.tracking.wandb import start_wandb
from qa.training.progress import Progress

log = logging.getLogger(__name__)

_PROJECT = "extractive-qa"
Start = Callable[[str, dict[str, Any]], GeneralTracker | None]
"""Name of a tracker and its options -> accelerate's tracker; None where it does not start."""


class PlainTracker:
    """A service that accelerate logs numbers to, and that has neither tables nor a summary."""

    address: str | None = None
    upload_command: str | None = None

    def __init__(self, tracker: GeneralTracker) -> None:
        """Take what accelerate started."""
        self.name = str(tracker.name)
        self._tracker = tracker

    def log(self, values: Mapping[str, Any], step: int) -> None:
        """See `Tracker.log`."""
        self._tracker.log(dict(values), step)

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: int) -> None:
        """See `Tracker.table`."""

    def summary(self, values: Mapping[str, Any]) -> None:
        """See `Tracker.summary`."""

    def model(self, folder: Path, data: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """See `Tracker.model`."""

    def finish(self, outcome: Outcome) -> None:  # noqa: ARG002  # these services do not ask how a run ends
        """See `Tracker.finish`."""
        self._tracker.finish()


class EnergyTracker:
    """CodeCarbon, which counts into the run folder: as often as something is logged, and at the end."""

    name = "codecarbon"
    address: str | None = None
    upload_command: str | None = None

    def __init__(self, meter: EnergyMeter) -> None:
        """Take what was started."""
        self._meter = meter

    def log(self, values: Mapping[str, Any], step: int) -> None:  # noqa: ARG002  # that they are logged is what counts
        """See `Tracker.log`."""
        self._meter.read()

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: int) -> None:
        """See `Tracker.table`."""

    def summary(self, values: Mapping[str, Any]) -> None:
        """See `Tracker.summary`."""

    def model(self, folder: Path, data: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """See `Tracker.model`."""

    def finish(self, outcome: Outcome) -> None:  # noqa: ARG002  # what was used was used
        """See `Tracker.finish`."""
        self._meter.stop()


def _start_tensorboard(start: Start, _config: RunConfig, progress: Progress) -> Tracker | None:
    tracker = start("tensorboard", {"purge_step": progress.step + 1} if progress.step else {})
    return PlainTracker(tracker) if tracker is not None else None


def _start_trackio(start: Start, config: RunConfig, progress: Progress) -> Tracker | None:
    resumes = progress.step > 0
    if resumes:
        forget_trackio_steps(project_of(config), config.run_name, after=progress.step)
    tracker = start("trackio", {"name": config.run_name, "resume": "allow" if resumes else "never"})
    return PlainTracker(tracker) if tracker is not None else None


def _start_codecarbon(_start: Start, config: RunConfig, _progress: Progress) -> Tracker | None:
    try:
        return EnergyTracker(EnergyMeter(config.output_dir / ENERGY_FILE))
    except Exception as error:  # noqa: BLE001  # whatever reading a machine's counters raises
        log.warning("tracker codecarbon does not start: %s", error)
        return None


def forget_trackio_steps(project: str, run: str, *, after: int) -> None:
    """Delete the points of later steps, which a resumed run logs again, from trackio's data base on this machine."""
    import trackio.sqlite_storage  # noqa: PLC0415  # an extra

    path = trackio.sqlite_storage.SQLiteStorage.get_project_db_path(project)
    if not path.is_file():
        return
    try:
        with contextlib.closing(sqlite3.connect(path)) as base, base:
            base.execute("DELETE FROM metrics WHERE run_name = ? AND step > ?", (run, after))
    except sqlite3.Error as error:
        log.warning("trackio's points after step %d stay, and are there twice: %s", after, error)


_TRACKERS: dict[str, Callable[[Start, RunConfig, Progress], Tracker | None]] = {
    "wandb": start_wandb,
    "tensorboard": _start_tensorboard,
    "trackio": _start_trackio,
    "mlflow": start_mlflow,
    "codecarbon": _start_codecarbon,
}


def project_of(config: RunConfig, *, tracker: str = "") -> str:
    """Return the project that the configuration names, or W&B's own variable, or the default."""
    named = os.environ.get("WANDB_PROJECT") if tracker == "wandb" else None
    return config.tracking.project or named or _PROJECT


def start_trackers(accelerator: Accelerator, config: RunConfig, progress: Progress) -> list[Reporter]:
    """Start the trackers of the configuration, on the main process; one that does not start is left out."""
    if not accelerator.is_main_process:
        return []
    values = flat_values(config_values(config) | {"environment": describe_environment(accelerator)})
    running: list[GeneralTracker] = []

    def start(name: str, options: dict[str, Any]) -> GeneralTracker | None:
        tracker = _start(accelerator, name, options, project=project_of(config, tracker=name), values=values)
        running.extend([tracker] if tracker is not None else [])
        return tracker

    started = [_TRACKERS[name](start, config, progress) for name in config.tracking.trackers]
    accelerator.trackers = running  # which it ends at the end of training
    return [Reporter(tracker) for tracker in started if tracker is not None]


def _start(
    accelerator: Accelerator, name: str, options: dict[str, Any], *, project: str, values: dict[str, Any]
) -> GeneralTracker | None:
    """Start one tracker through accelerate, which starts all it knows: so it knows one at a time.

    A run that MLflow goes on with has its settings, and takes no other value of one.
    """
    accelerator.log_with, accelerator.trackers = [name], []
    config = None if options.get("run_id") is not None else values
    try:
        accelerator.init_trackers(project, config=config, init_kwargs={name: options})
    except Exception as error:  # noqa: BLE001  # whatever a service's client raises
        log.warning("tracker %s does not start: %s", name, error)
        return None
    return accelerator.trackers[0]
