"""Save, find, load, rotate checkpoints.

A checkpoint is a folder under `checkpoints/`: weights and optimizer state as safetensors, the rest as JSON, and a
manifest with the size and hash of each file. Nothing is unpickled. Generators need no saving: orders and dropout are
functions of seed and step. States are gathered to the main process, which alone writes; on resuming it alone reads, and
the others receive. So a run needs no disk that its machines share, and the number of processes may change.
"""

import contextlib
import json
import logging
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import torch
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

from qa.errors import CheckpointError, StorageError
from qa.files import check_manifest, whole_folder, write_json, write_manifest
from qa.run_folder.identity import FORMAT, Identity
from qa.run_folder.paths import CHECKPOINT_NAMES, RunPaths
from qa.runtime.collectives import on_main
from qa.runtime.stopping import SaveTimer
from qa.training.loop import TrainingLoop

log = logging.getLogger(__name__)

_WEIGHTS, _OPTIMIZER, _STATE = "model.safetensors", "optimizer.safetensors", "state.json"
_AVERAGE = "average.safetensors"  # only where the recipe averages weights
_FULL = StateDictOptions(full_state_dict=True, cpu_offload=True)
_RECEIVED = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)


class Checkpoints:
    """The checkpoints of one run."""

    def __init__(self, paths: RunPaths, loop: TrainingLoop, identity: Identity) -> None:
        """Start the clock of the minutes between checkpoints."""
        self._paths, self._loop, self._identity = paths, loop, identity
        self._timer = SaveTimer(loop.plan.config.save_minutes)

    def resume(self, resume: str | None) -> None:
        """Continue from the checkpoint that `resume` means; None: from the start. Collective.

        Raises:
            CheckpointError, StorageError: see `resume_from`.

        """
        if resume is not None:
            resume_from(self._loop, self._paths, resume, self._identity)

    def save(self) -> None:
        """Save the run as it is now. Collective.

        Raises:
            StorageError: see `save_checkpoint`.

        """
        save_checkpoint(self._loop, self._paths, self._identity)

    def timer_is_due(self) -> bool:
        """Return whether it is time for a checkpoint by the clock. Collective."""
        return self._timer.is_due(self._loop.accelerator)

    @contextlib.contextmanager
    def saved_on(self, error: type[Exception]) -> Iterator[None]:
        """Save when such an error passes, which all processes must raise together."""
        try:
            yield
        except error:
            self.save()
            raise


def find_checkpoint(paths: RunPaths, resume: str) -> Path | None:
    """Find the checkpoint to continue from: the newest complete one of the run folder for `auto`, else a path.

    Returns None for `auto` in a run folder without a complete checkpoint. Which were passed over, and why, is logged.

    Raises:
        StorageError: the path given is not a complete checkpoint.

    """
    if resume != "auto":
        check_manifest(Path(resume))
        return Path(resume)
    for candidate in sorted(paths.checkpoints.glob(CHECKPOINT_NAMES), reverse=True):
        try:
            check_manifest(candidate)
        except StorageError as error:
            log.warning("passed over the checkpoint %s: %s", candidate.name, error)
        else:
            return candidate
    return None


# --- saving -------------------------------------------------------------------------------------------------------


def save_checkpoint(loop: TrainingLoop, paths: RunPaths, identity: Identity) -> None:
    """Write a checkpoint of the run and delete all but the newest that the configuration keeps. Collective.

    DeepSpeed keeps the optimizer's state to itself and pickles it: runs under it have no checkpoints, which is logged.

    Raises:
        StorageError: it cannot be written, for want of space say; earlier ones are untouched.

    """
    accelerator, step = loop.accelerator, loop.progress.step
    if accelerator.distributed_type == DistributedType.DEEPSPEED:
        log.warning("no checkpoint at step %d: under DeepSpeed a run cannot be continued", step)
        return
    weights = gather_weights(loop)  # only the main process gets it, as the optimizer's state
    average = _gather_average(loop)
    optimizer: dict[str, Any] = get_optimizer_state_dict(loop.model, loop.optimizer.optimizer, options=_FULL)
    state = {
        "format": FORMAT,
        "progress": asdict(loop.progress),
        "identity": dict(identity.values),
        "scaler": accelerator.scaler.state_dict() if accelerator.scaler is not None else None,
        "processes": accelerator.num_processes,
    }
    path = paths.checkpoint(step)

    def write() -> None:
        try:
            with whole_folder(path) as part:
                save_file(_contiguous(weights), part / _WEIGHTS, metadata={"format": "pt"})
                save_file(_contiguous(_flat(optimizer["state"])), part / _OPTIMIZER)
                if average is not None:
                    save_file(average, part / _AVERAGE, metadata={"format": "pt"})
                write_json(part / _STATE, state)
                write_manifest(part)
            rotate(path, loop.plan.config.keep_last)
        except (OSError, SafetensorError) as error:  # which of the two a full disk raises depends on the file
            raise StorageError(f"cannot write the checkpoint {path}: {error}") from error

    on_main(accelerator, write)


def gather_weights(loop: TrainingLoop) -> dict[str, Any]:
    """Gather all weights to the main process. Collective."""
    if loop.accelerator.distributed_type == DistributedType.DEEPSPEED:
        return cast("dict[str, Any]", loop.accelerator.get_state_dict(loop.model))
    return get_model_state_dict(loop.model, options=_FULL)


def _gather_average(loop: TrainingLoop) -> dict[str, Any] | None:
    """Gather the averaged weights to the main process; None where the recipe has none. Collective."""
    if loop.average is None:
        return None
    with loop.average.applied():
        return dict(_contiguous(gather_weights(loop)))  # copied, since outside the same tensors hold other weights


def rotate(newest: Path, keep_last: int) -> None:
    """Delete all checkpoints but `newest` and those before it, `keep_last` in all, and what a killed run left behind.

    Later ones, by their step, are torn, or of a course that the run was taken back from: they are deleted too, so that
    the newest by name is the newest in time.
    """
    checkpoints = sorted(newest.parent.glob(CHECKPOINT_NAMES))
    kept = [path for path in checkpoints if path <= newest][-keep_last:]
    for path in {*checkpoints, *newest.parent.glob(f".{CHECKPOINT_NAMES}")} - set(kept):
        shutil.rmtree(path)


# --- continuing ---------------------------------------------------------------------------------------------------


def resume_from(loop: TrainingLoop, paths: RunPaths, resume: str, identity: Identity) -> None:
    """Continue from the checkpoint that `resume` means, or from the start where there is none yet. Collective.

    Raises:
        CheckpointError: the run uses DeepSpeed; else see `find_checkpoint` and `load_checkpoint`.

    """
    if loop.accelerator.distributed_type == DistributedType.DEEPSPEED:
        raise CheckpointError("found --resume under DeepSpeed; wanted a way of running that has checkpoints, as FSDP")
    path = on_main(loop.accelerator, lambda: find_checkpoint(paths, resume))
    (found,) = broadcast_object_list([path is not None])
    if not found:
        log.info("no complete checkpoint in %s: starting from step 0", paths.root)
        return
    load_checkpoint(loop, path, identity)
    log.info("continuing from %s at step %d", path, loop.progress.step)


def load_checkpoint(loop: TrainingLoop, path: Path | None, identity: Identity) -> None:
    """Continue from a checkpoint that the main process finds at `path`. Collective.

    Raises:
        CheckpointError: it is of another run, or does not hold what this model and optimizer need.

    """
    accelerator = loop.accelerator
    found, average, weights, moments = on_main(accelerator, lambda: _read(path, identity)) or ({}, {}, {}, {})
    (state,) = broadcast_object_list([found])
    options = _RECEIVED if accelerator.num_processes > 1 else _FULL
    try:
        if loop.average is not None:
            set_model_state_dict(loop.model, average, options=options)
            loop.average.reset()
        _load_states(loop, weights, moments, options)
    except (RuntimeError, KeyError, ValueError) as error:
        raise CheckpointError(f"the checkpoint does not fit this model: {error}") from error
    if accelerator.scaler is not None and state["scaler"] is not None:
        accelerator.scaler.load_state_dict(state["scaler"])
    vars(loop.progress).update(state["progress"])


def _read(
    path: Path | None, identity: Identity
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Tensor]]:
    """Return state, averaged weights, weights and optimizer state."""
    assert path is not None, "the main process reads, and it knows the path"
    try:
        state: dict[str, Any] = json.loads((path / _STATE).read_text(encoding="utf-8"))
        identity.check(state)
        average = load_file(path / _AVERAGE) if (path / _AVERAGE).exists() else {}
        return state, average, load_file(path / _WEIGHTS), load_file(path / _OPTIMIZER)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise CheckpointError(f"cannot read the checkpoint {path}: {error}") from error


def _load_states(
    loop: TrainingLoop, weights: dict[str, Any], flat: Mapping[str, Tensor], options: StateDictOptions
) -> None:
    """Put weights and optimizer state in place; the parameter groups stay as the settings made them."""
    optimizer = loop.optimizer.optimizer
    set_model_state_dict(loop.model, weights, options=options)
    # Asking for the state first makes the optimizer create it: only then is there something to load into.
    saved = get_optimizer_state_dict(loop.model, optimizer, options=_FULL)
    if flat:  # of all parameters but those that never had a gradient, which may stay as they were created
        saved["state"] = cast("dict[str, Any]", saved["state"]) | _nested(flat)
    set_optimizer_state_dict(loop.model, optimizer, saved, options=options)


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
