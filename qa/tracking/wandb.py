"""W&B: modes, resume, step axis, tables, summary."""

import hashlib
import json
import logging
import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import wandb
from accelerate.tracking import GeneralTracker

from qa.checks import flat_values
from qa.config import RunConfig, config_values
from qa.tracking.reporter import Outcome
from qa.tracking.wandb_artifacts import log_model
from qa.training.progress import Progress

log = logging.getLogger(__name__)

_TRUE = {"1", "true", "yes", "on"}
STEP = "step"
"""The axis of everything that is tracked: the optimizer step, logged as a value.

W&B's own axis only goes forward, so that what a resumed run logs again would be dropped.
"""


class WandbTracker:
    """A run at W&B, online or offline."""

    name = "wandb"

    def __init__(self, tracker: GeneralTracker, *, registry: str | None = None) -> None:
        """Take what accelerate started, and define the axis; a registry is what models are linked to."""
        self.registry = registry
        self._tracker, self._run = tracker, tracker.tracker
        self._run.define_metric(STEP)
        self._run.define_metric("*", step_metric=STEP)
        self.address: str | None = self._run.url or None
        offline = f"wandb sync {Path(self._run.dir).parent}"
        self.upload_command: str | None = offline if self._run.offline else None

    def log(self, values: Mapping[str, Any], step: int) -> None:
        """See `Tracker.log`."""
        self._tracker.log({**values, STEP: step}, None)

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: int) -> None:
        """See `Tracker.table`."""
        self._run.log({name: wandb.Table(list(columns), [list(row) for row in rows]), STEP: step})

    def summary(self, values: Mapping[str, Any]) -> None:
        """See `Tracker.summary`."""
        self._run.summary.update(dict(values))

    def model(self, folder: Path, data: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """See `Tracker.model`."""
        log_model(self._run, folder, data=data, facts=facts, registry=self.registry)

    def finish(self, outcome: Outcome) -> None:
        """See `Tracker.finish`; a preempted run is one that W&B calls so, and that its sweeps start again.

        Also one whose time was up, which ends with 0: W&B would take it for finished.
        """
        if outcome.preempted:
            self._run.mark_preempting()
        self._run.finish(exit_code=outcome.status or int(outcome.preempted))


def start_wandb(
    start: Callable[[str, dict[str, Any]], GeneralTracker | None], config: RunConfig, progress: Progress
) -> WandbTracker | None:
    """Start W&B as WANDB_MODE says; without it online where there is a key and the service answers, else offline.

    Online, a resumed run continues under its id. Offline it cannot yet (wandb #12110): each attempt is a run of its own
    in the same group. WANDB_DISABLED, a habit from transformers' scripts, switches it off. What WANDB_PROJECT,
    WANDB_NAME, WANDB_RUN_GROUP, WANDB_RUN_ID and WANDB_TAGS say counts where the configuration says nothing.
    """
    if os.environ.get("WANDB_DISABLED", "").lower() in _TRUE:
        log.info("WANDB_DISABLED is set: W&B gets nothing")
        return None
    for mode in modes_to_try():
        _choose_id(progress, online=mode == "online")
        options = {
            "id": progress.tracker_ids[-1],
            "resume": "allow" if mode == "online" else None,
            "dir": str(config.output_dir),
            "mode": mode,
            "settings": wandb.Settings(silent=True, console="off"),  # the run's own lines say where it is
        }
        if config.tracking.run_name is not None or not os.environ.get("WANDB_NAME"):
            options["name"] = config.run_name
        if not os.environ.get("WANDB_RUN_GROUP"):
            options["group"] = _group(config, progress)
        tracker = start("wandb", options)
        if tracker is not None:
            return WandbTracker(tracker, registry=config.tracking.registry)
    return None


def _group(config: RunConfig, progress: Progress) -> str:
    """Return what groups the attempts of a run; in a sweep of W&B's, also runs that differ in the seed alone."""
    sweep = os.environ.get("WANDB_SWEEP_ID")
    if not sweep:
        return f"{config.run_name}-{progress.tracker_ids[0]}"
    values = flat_values(config_values(config))
    recipe = {k: v for k, v in values.items() if k not in {"seed", "output_dir", "resume"} and "tracking/" not in k}
    return f"{sweep}-{hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:8]}"


def _choose_id(progress: Progress, *, online: bool) -> None:
    """Let the last id be this attempt's: W&B's own variable's, the earlier attempt's, or a new one."""
    given = os.environ.get("WANDB_RUN_ID")
    if given and given not in progress.tracker_ids[-1:]:
        progress.tracker_ids.append(given)
    elif not given and not (online and progress.tracker_ids):
        progress.tracker_ids.append(uuid.uuid4().hex[:8])


def modes_to_try() -> list[str]:
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
