"""A model at W&B, beside a record of the data that it was trained on."""

import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import wandb

log = logging.getLogger(__name__)

_ALIASES = ["best", "latest"]
_FINGERPRINT = 12  # digits of a data artifact's name


def log_model(
    run: wandb.Run,
    folder: Path,
    *,
    data: Mapping[str, Mapping[str, Any]],
    facts: Mapping[str, Any],
    registry: str | None = None,
) -> None:
    """Send a model as an artifact of a run, whose lineage leads to artifacts of its data.

    The data itself is not sent: its artifact holds source, split, number of examples and fingerprint. Offline, W&B
    takes it as an output of the run, since what a run uses can only be told online.

    Args:
        run: started.
        folder: of the model.
        data: facts of each split, with its `fingerprint`.
        facts: of the model, such as its scores.
        registry: collection that the model is linked to: `wandb-registry-model/NAME`.

    """
    for split, told in data.items():
        artifact = data_artifact(split, told)
        if run.offline:
            run.log_artifact(artifact)
        else:
            run.use_artifact(artifact)
    model = wandb.Artifact(_name(run.name or run.id), type="model", metadata={**facts, "data": dict(data)})
    model.add_dir(str(folder))
    run.log_artifact(model, aliases=_ALIASES)
    if registry is None:
        return
    if run.offline:
        log.warning("W&B links a model to a registry online only; link %s to %s after the upload", model.name, registry)
    else:
        run.link_artifact(model, registry)


def data_artifact(split: str, facts: Mapping[str, Any]) -> wandb.Artifact:
    """Return the artifact of data, which is the same for all runs with the same examples."""
    fingerprint = facts["fingerprint"]
    artifact = wandb.Artifact(f"{split}-{fingerprint[:_FINGERPRINT]}", type="dataset", metadata=dict(facts))
    with artifact.new_file("data.json") as file:
        file.write(json.dumps(dict(facts), sort_keys=True))
    return artifact


def _name(run: str) -> str:
    """Return a run's name as artifacts may be called."""
    return re.sub(r"[^\w.-]+", "-", run)[:100]
