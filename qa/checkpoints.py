"""Save and continue a run, keep the newest checkpoints, export the model; the only reader of a run folder.

A checkpoint is a folder under `checkpoints/`: weights and optimizer state as safetensors, the rest as JSON, and a
manifest with the size and hash of each file. Nothing is unpickled. Generators need no saving: orders and dropout are
functions of seed and step. States are gathered to the main process, which alone writes; on resuming it alone reads, and
the others receive. So a run needs no disk that its machines share, and the number of processes may change.
"""

import json
import logging
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType, broadcast_object_list
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from transformers import PreTrainedTokenizerBase

from qa.config import RunConfig, config_values
from qa.data import Examples, write_problems
from qa.errors import CheckpointError, StorageError
from qa.files import check_manifest, whole_folder, write_json, write_manifest
from qa.model import SETTINGS_FILE, ReaderSettings
from qa.runtime import describe_environment, on_main
from qa.training import Trainer, TrainingPlan

log = logging.getLogger(__name__)

_FULL = StateDictOptions(full_state_dict=True, cpu_offload=True)
_UNWRITABLE = (OSError, SafetensorError)  # which of the two a full disk raises depends on the file
_RECEIVED = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)


# --- the run folder -----------------------------------------------------------------------------------------------


def prepare_run_folder(folder: Path, *, resumes: bool) -> None:
    """Make the run folder.

    Raises:
        CheckpointError: it holds files of another run and this one does not resume.
        StorageError: it cannot be made.

    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot make the run folder {folder}: {error.strerror}") from error
    if not resumes and any(folder.iterdir()):
        raise CheckpointError(f"the run folder {folder} is not empty; wanted a new one, or --resume to go on with it")


def save_config(config: RunConfig, path: Path) -> None:
    """Write `config` as JSON; `load_config` and `parse_config` read it back as an equal value."""
    write_json(path, config_values(config))


def write_records(accelerator: Accelerator, config: RunConfig, data: Mapping[str, Examples]) -> None:
    """Write what the run is: its configuration, environment and the problems of its data."""
    save_config(config, config.output_dir / "config.json")
    write_json(config.output_dir / "environment.json", describe_environment(accelerator))
    problems = {split: examples.problems for split, examples in data.items()}
    write_problems(problems, config.output_dir / "data_problems.jsonl")
    for split, found in problems.items():
        for action, count in Counter(problem.action for problem in found).items():
            log.warning("%s data: %d examples %s; see data_problems.jsonl", split, count, action)


def find_checkpoint(folder: Path, resume: str) -> Path | None:
    """Find the checkpoint to continue from: the newest complete one of the run folder for `auto`, else a path.

    Returns None for `auto` in a run folder without a complete checkpoint. Which were passed over, and why, is logged.

    Raises:
        StorageError: the path given is not a complete checkpoint.

    """
    if resume != "auto":
        check_manifest(Path(resume))
        return Path(resume)
    for candidate in sorted((folder / "checkpoints").glob("step-*"), reverse=True):
        try:
            check_manifest(candidate)
        except StorageError as error:
            log.warning("passed over the checkpoint %s: %s", candidate.name, error)
        else:
            return candidate
    return None


# --- saving -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Identity:
    """What must be the same for a run to be continued (how an update is cut into processes and batches need not)."""

    values: Mapping[str, str | int | float]
    """By name, as JSON has them."""

    @classmethod
    def of(cls, config: RunConfig, data: Mapping[str, Examples], plan: TrainingPlan) -> "Identity":
        """Return the identity of a run on `data`, by split: the best score is one on its validation data."""
        features, training = config.features, config.training
        return cls(
            {
                "model": config.model,
                "seed": config.seed,
                **{f"fingerprint of the {split} data": examples.fingerprint for split, examples in data.items()},
                "features.max-length": features.max_length,
                "features.doc-stride": features.doc_stride,
                "features.max-question-length": features.max_question_length,
                "training.learning-rate": training.learning_rate,
                "training.schedule": training.schedule,
                "training.warmup-ratio": training.warmup_ratio,
                "steps of an epoch": plan.updates_per_epoch,
                "steps of the run": plan.total_steps,
                "features of a step": plan.split.global_batch,
            }
        )

    def check(self, saved: Mapping[str, Any]) -> None:
        """Compare with the values in a checkpoint.

        Raises:
            CheckpointError: naming all that differ.

        """
        names = dict.fromkeys((*self.values, *saved))
        pairs = ((name, saved.get(name), self.values.get(name)) for name in names)
        differing = [f"{name} is {there!r} there and {here!r} here" for name, there, here in pairs if there != here]
        if differing:
            raise CheckpointError(f"the checkpoint is of another run: {'; '.join(differing)}")


def save_checkpoint(trainer: Trainer, folder: Path, identity: Identity) -> None:
    """Write a checkpoint of the run and delete all but the newest that the configuration keeps. Collective.

    DeepSpeed keeps the optimizer's state to itself and pickles it: runs under it have no checkpoints, which is logged.

    Raises:
        StorageError: it cannot be written, for want of space say; earlier ones are untouched.

    """
    accelerator = trainer.accelerator
    if accelerator.distributed_type == DistributedType.DEEPSPEED:
        log.warning("no checkpoint at step %d: under DeepSpeed a run cannot be continued", trainer.progress.step)
        return
    weights = _weights(trainer)  # only the main process gets it, as the optimizer's state
    optimizer: dict[str, Any] = get_optimizer_state_dict(trainer.model, trainer.optimizer.optimizer, options=_FULL)
    state = {
        "progress": asdict(trainer.progress),
        "identity": dict(identity.values),
        "scaler": accelerator.scaler.state_dict() if accelerator.scaler is not None else None,
        "processes": accelerator.num_processes,
    }
    path = folder / "checkpoints" / f"step-{trainer.progress.step:08d}"

    def write() -> None:
        try:
            with whole_folder(path) as part:
                save_file(_contiguous(weights), part / "model.safetensors", metadata={"format": "pt"})
                save_file(_contiguous(_flat(optimizer["state"])), part / "optimizer.safetensors")
                write_json(part / "state.json", state)
                write_manifest(part)
            rotate(path, trainer.config.keep_last)
        except _UNWRITABLE as error:
            raise StorageError(f"cannot write the checkpoint {path}: {error}") from error

    on_main(accelerator, write)


def _weights(trainer: Trainer) -> dict[str, Any]:
    """Gather all weights to the main process. Collective."""
    if trainer.accelerator.distributed_type == DistributedType.DEEPSPEED:
        return cast("dict[str, Any]", trainer.accelerator.get_state_dict(trainer.model))
    return get_model_state_dict(trainer.model, options=_FULL)


def rotate(newest: Path, keep_last: int) -> None:
    """Delete all checkpoints but `newest` and those before it, `keep_last` in all, and what a killed run left behind.

    Later ones, by their step, are torn, or of a course that the run was taken back from: they are deleted too, so that
    the newest by name is the newest in time.
    """
    checkpoints = sorted(newest.parent.glob("step-*"))
    kept = [path for path in checkpoints if path <= newest][-keep_last:]
    for path in {*checkpoints, *newest.parent.glob(".step-*")} - set(kept):
        shutil.rmtree(path)


# --- continuing ---------------------------------------------------------------------------------------------------


def resume_from(trainer: Trainer, folder: Path, resume: str, identity: Identity) -> None:
    """Continue from the checkpoint that `resume` means, or from the start where there is none yet. Collective.

    Raises:
        CheckpointError: the run uses DeepSpeed; else see `find_checkpoint` and `load_checkpoint`.

    """
    if trainer.accelerator.distributed_type == DistributedType.DEEPSPEED:
        raise CheckpointError("found --resume under DeepSpeed; wanted a way of running that has checkpoints, as FSDP")
    path = on_main(trainer.accelerator, lambda: find_checkpoint(folder, resume))
    (found,) = broadcast_object_list([path is not None])
    if not found:
        log.info("no complete checkpoint in %s: starting from step 0", folder)
        return
    load_checkpoint(trainer, path, identity)
    log.info("continuing from %s at step %d", path, trainer.progress.step)


def load_checkpoint(trainer: Trainer, path: Path | None, identity: Identity) -> None:
    """Continue from a checkpoint that the main process finds at `path`. Collective.

    Raises:
        CheckpointError: it is of another run, or does not hold what this model and optimizer need.

    """
    accelerator = trainer.accelerator
    found, weights, moments = on_main(accelerator, lambda: _read(path, identity)) or ({}, {}, {})
    (state,) = broadcast_object_list([found])
    try:
        _load_states(trainer, weights, moments, _RECEIVED if accelerator.num_processes > 1 else _FULL)
    except (RuntimeError, KeyError, ValueError) as error:
        raise CheckpointError(f"the checkpoint does not fit this model: {error}") from error
    if accelerator.scaler is not None and state["scaler"] is not None:
        accelerator.scaler.load_state_dict(state["scaler"])
    vars(trainer.progress).update(state["progress"])


def _read(path: Path | None, identity: Identity) -> tuple[dict[str, Any], dict[str, Tensor], dict[str, Tensor]]:
    assert path is not None, "the main process reads, and it knows the path"
    try:
        state: dict[str, Any] = json.loads((path / "state.json").read_text(encoding="utf-8"))
        identity.check(state["identity"])
        return state, load_file(path / "model.safetensors"), load_file(path / "optimizer.safetensors")
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise CheckpointError(f"cannot read the checkpoint {path}: {error}") from error


def _load_states(
    trainer: Trainer, weights: dict[str, Any], flat: Mapping[str, Tensor], options: StateDictOptions
) -> None:
    """Put weights and optimizer state in place; the parameter groups stay as the settings made them."""
    optimizer = trainer.optimizer.optimizer
    set_model_state_dict(trainer.model, weights, options=options)
    # Asking for the state first makes the optimizer create it: only then is there something to load into.
    saved = get_optimizer_state_dict(trainer.model, optimizer, options=_FULL)
    if flat:  # of all parameters but those that never had a gradient, which may stay as they were created
        saved["state"] = cast("dict[str, Any]", saved["state"]) | _nested(flat)
    set_optimizer_state_dict(trainer.model, optimizer, saved, options=options)


def _flat(nested: Mapping[Any, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {f"{outer}/{inner}": tensor for outer, values in nested.items() for inner, tensor in values.items()}


def _nested(flat: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    nested: dict[str, dict[str, Tensor]] = {}
    for name, tensor in flat.items():
        outer, inner = name.rsplit("/", 1)
        nested.setdefault(outer, {})[inner] = tensor
    return nested


def _contiguous(tensors: Mapping[str, Any]) -> dict[str, Tensor]:
    """Copy what shares memory: safetensors takes each tensor for itself."""
    return {name: tensor.detach().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}


# --- the trained model --------------------------------------------------------------------------------------------


def export_model(trainer: Trainer, tokenizer: PreTrainedTokenizerBase, settings: ReaderSettings, folder: Path) -> None:
    """Save weights, tokenizer and reader settings so that `from_pretrained` loads them from `folder`. Collective.

    Raises:
        StorageError: it cannot be written; an earlier model in `folder` is untouched.

    """
    weights = _weights(trainer)
    plain = trainer.accelerator.unwrap_model(trainer.model)

    def write() -> None:
        try:
            with whole_folder(folder) as part:
                plain.save_pretrained(part, state_dict=weights)
                tokenizer.save_pretrained(part)
                write_json(part / SETTINGS_FILE, asdict(settings))
        except _UNWRITABLE as error:
            raise StorageError(f"cannot write the model to {folder}: {error}") from error

    on_main(trainer.accelerator, write)
