"""Which trackers there are, and how each starts: accelerate's, one at a time."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from accelerate import Accelerator
from accelerate.tracking import GeneralTracker

from qa.config import RunConfig, config_values, flat_values
from qa.runtime.environment import describe_environment
from qa.tracking.reporter import Reporter, Tracker
from qa.tracking.wandb import start_wandb
from qa.training.progress import Progress

log = logging.getLogger(__name__)

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

    def finish(self) -> None:
        """See `Tracker.finish`."""
        self._tracker.finish()


def _start_tensorboard(start: Start, _config: RunConfig, _progress: Progress) -> Tracker | None:
    tracker = start("tensorboard", {})
    return PlainTracker(tracker) if tracker is not None else None


def _start_trackio(start: Start, config: RunConfig, _progress: Progress) -> Tracker | None:
    tracker = start("trackio", {"name": config.run_name})
    return PlainTracker(tracker) if tracker is not None else None


_TRACKERS: dict[str, Callable[[Start, RunConfig, Progress], Tracker | None]] = {
    "wandb": start_wandb,
    "tensorboard": _start_tensorboard,
    "trackio": _start_trackio,
}


def start_trackers(accelerator: Accelerator, config: RunConfig, progress: Progress) -> list[Reporter]:
    """Start the trackers of the configuration, on the main process; one that does not start is left out."""
    if not accelerator.is_main_process:
        return []
    values = flat_values(config_values(config) | {"environment": describe_environment(accelerator)})
    running: list[GeneralTracker] = []

    def start(name: str, options: dict[str, Any]) -> GeneralTracker | None:
        tracker = _start(accelerator, name, options, project=config.tracking.project, values=values)
        running.extend([tracker] if tracker is not None else [])
        return tracker

    started = [_TRACKERS[name](start, config, progress) for name in config.tracking.trackers]
    accelerator.trackers = running  # which it ends at the end of training
    return [Reporter(tracker) for tracker in started if tracker is not None]


def _start(
    accelerator: Accelerator, name: str, options: dict[str, Any], *, project: str, values: dict[str, Any]
) -> GeneralTracker | None:
    """Start one tracker through accelerate, which starts all it knows: so it knows one at a time."""
    accelerator.log_with, accelerator.trackers = [name], []
    try:
        accelerator.init_trackers(project, config=values, init_kwargs={name: options})
    except Exception as error:  # noqa: BLE001  # whatever a service's client raises
        log.warning("tracker %s does not start: %s", name, error)
        return None
    return accelerator.trackers[0]
