"""Tables at W&B that belong to no training run: a run of their own, which a report can show."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import wandb

from qa.errors import TrackerError
from qa.tracking.wandb import modes_to_try

log = logging.getLogger(__name__)

Table = tuple[Sequence[str], Sequence[Sequence[Any]]]
"""Columns and rows."""


def send_tables(
    project: str, name: str, tables: Mapping[str, Table], *, job_type: str, config: Mapping[str, Any]
) -> str:
    """Record tables as one run; return its address, or the command that uploads a run that was recorded offline.

    Raises:
        TrackerError: W&B does not take them.

    """
    try:
        run = _started(project, name, job_type, config)
        with run:
            run.log(
                {title: wandb.Table(list(columns), [*map(list, rows)]) for title, (columns, rows) in tables.items()}
            )
    except Exception as error:  # whatever the client raises
        raise TrackerError(f"W&B does not take the tables: {error}") from error
    return f"wandb sync {Path(run.dir).parent}" if run.offline else str(run.url)


def _started(project: str, name: str, job_type: str, config: Mapping[str, Any]) -> wandb.Run:
    """Start a run as WANDB_MODE says; without it online where there is a key and the service answers, else offline."""
    first, *others = modes_to_try()
    settings = wandb.Settings(silent=True, console="off")
    for mode in (first, *others):
        try:
            return wandb.init(
                project=project,
                name=name,
                job_type=job_type,
                config=dict(config),
                mode=cast("Any", mode),
                settings=settings,
            )
        except Exception as error:  # noqa: BLE001  # whatever the client raises
            log.warning("W&B does not start %s: %s", mode, error)
    raise TrackerError(f"it starts in none of the modes {', '.join((first, *others))}")
