"""The services that record a run: accelerate's trackers, each fed by a thread of its own.

A run is worth more than its record: a service that fails or hangs is reported once and cannot stop or slow the run.
"""

import logging
import os
import uuid
from collections.abc import Callable
from functools import partial
from queue import Full, Queue
from threading import Thread
from typing import Any

import wandb
from accelerate import Accelerator
from accelerate.tracking import GeneralTracker

from qa.config import RunConfig, config_values, flat_values
from qa.progress import Progress
from qa.runtime import describe_environment

log = logging.getLogger(__name__)

STEP = "step"
"""The axis of everything that is tracked: the optimizer step."""
_MOST_WAITING = 10_000  # calls to a service that does not answer; more would fill the memory
_FINISH_SECONDS = 120.0  # for what a service has still to send at the end


class Reporter:
    """Passes values to one tracker, in order and without waiting for it."""

    def __init__(self, tracker: GeneralTracker) -> None:
        """Start the thread; it does not keep a run that ends from ending."""
        self.tracker = tracker
        self.name = str(tracker.name)
        self._calls: Queue[Callable[[], object] | None] = Queue(_MOST_WAITING)
        self._complained = False
        self._thread = Thread(target=self._work, name=f"tracker {self.name}", daemon=True)
        self._thread.start()

    def log(self, values: dict[str, Any], step: int) -> None:
        """Log values at a step; W&B has an axis of its own and gets the step as a value, or points would be dropped."""
        own_axis = self.name == "wandb"
        self.submit(
            partial(self.tracker.log, values | {STEP: step} if own_axis else values, None if own_axis else step)
        )

    def submit(self, call: Callable[[], object] | None) -> None:
        """Do `call` after what was submitted before; None ends the thread."""
        try:
            self._calls.put_nowait(call)
        except Full:
            self._complain("does not answer")

    def finish(self) -> None:
        """Close the tracker after all that was submitted, but do not wait for a service that hangs."""
        self.submit(self.tracker.finish)
        self.submit(None)
        self._thread.join(_FINISH_SECONDS)
        if self._thread.is_alive():
            self._complain(f"did not finish within {_FINISH_SECONDS:.0f} s")

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                call()
            except Exception as error:  # noqa: BLE001  # whatever a service's client raises
                self._complain(f"failed: {error}")

    def _complain(self, problem: str) -> None:
        if not self._complained:
            self._complained = True
            log.warning("tracker %s %s; the run goes on, its record may have gaps", self.name, problem)


def start_trackers(accelerator: Accelerator, config: RunConfig, progress: Progress) -> list[Reporter]:
    """Start the trackers of the configuration, on the main process; one that does not start is left out."""
    if not accelerator.is_main_process:
        return []
    values = flat_values(config_values(config) | {"environment": describe_environment(accelerator)})
    start = partial(_start, accelerator, project=config.tracking.project, values=values)
    name = run_name(config)
    trackers = {
        "wandb": lambda: _start_wandb(start, config, progress),
        "tensorboard": lambda: start("tensorboard", {}),
        "trackio": lambda: start("trackio", {"name": name}),
    }
    started = [tracker for known in config.tracking.trackers if (tracker := trackers[known]()) is not None]
    accelerator.trackers = started
    return [Reporter(tracker) for tracker in started]


def run_name(config: RunConfig) -> str:
    """Return the name of the run at its trackers."""
    return config.tracking.run_name or config.output_dir.name


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


def _start_wandb(
    start: Callable[[str, dict[str, Any]], GeneralTracker | None], config: RunConfig, progress: Progress
) -> GeneralTracker | None:
    """Start W&B as WANDB_MODE says; without it online where there is a key and the service answers, else offline.

    Online, a resumed run continues under its id. Offline it cannot yet (wandb #12110): each attempt is a run of its own
    in the same group.
    """
    for mode in _wandb_modes():
        if mode != "online" or not progress.tracker_ids:
            progress.tracker_ids.append(uuid.uuid4().hex[:8])
        options = {
            "id": progress.tracker_ids[-1],
            "name": run_name(config),
            "group": f"{run_name(config)}-{progress.tracker_ids[0]}",
            "resume": "allow" if mode == "online" else None,
            "dir": str(config.output_dir),
            "mode": mode,
            "settings": wandb.Settings(silent=True, console="off"),  # the run's own lines say where it is
        }
        tracker = start("wandb", options)
        if tracker is not None:
            tracker.tracker.define_metric(STEP)
            tracker.tracker.define_metric("*", step_metric=STEP)
            return tracker
    return None


def _wandb_modes() -> list[str]:
    """Return the modes to try, in order."""
    wanted = os.environ.get("WANDB_MODE")
    if wanted:
        return [wanted]
    try:
        has_key = wandb.login(prompt=False, verify=False)
    except Exception as error:  # noqa: BLE001  # whatever the client raises
        log.warning("W&B login failed: %s", error)
        has_key = False
    return ["online", "offline"] if has_key else ["offline"]
