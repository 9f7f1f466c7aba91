"""Save and continue a run, keep the newest checkpoints, export the model; the only reader of a run folder.

A checkpoint is a folder under `checkpoints/`: weights, optimizer state and the generators of all processes as
safetensors, the rest as JSON, and a manifest with the size and hash of each file, written last. Nothing is unpickled.
States are gathered to the main process, which alone writes; on resuming it alone reads, and the others receive. So a
run needs no disk that its machines share, and the number of processes may change.
"""

import hashlib
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
from accelerate.utils import broadcast_object_list, gather_object
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

from qa.config import RunConfig, save_config
from qa.data import Examples, write_problems
from qa.errors import CheckpointError
from qa.files import whole_folder, write_json
from qa.model import SETTINGS_FILE, ReaderSettings
from qa.runtime import describe_environment, for_all, on_main
from qa.training import Trainer, TrainingPlan

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
_FULL = StateDictOptions(full_state_dict=True, cpu_offload=True)
_RECEIVED = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)


# --- the run folder -----------------------------------------------------------------------------------------------


def prepare_run_folder(folder: Path, *, resumes: bool) -> None:
    """Make the run folder.

    Raises:
        CheckpointError: it holds files of another run and this one does not resume.

    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(f"cannot make the run folder {folder}: {error.strerror}") from error
    if not resumes and any(folder.iterdir()):
        raise CheckpointError(f"the run folder {folder} is not empty; wanted a new one, or --resume to go on with it")


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
        CheckpointError: the path given is not a complete checkpoint.

    """
    if resume != "auto":
        check_manifest(Path(resume))
        return Path(resume)
    for candidate in sorted((folder / "checkpoints").glob("step-*"), reverse=True):
        try:
            check_manifest(candidate)
        except CheckpointError as error:
            log.warning("passed over %s", error)
        else:
            return candidate
    return None


def check_manifest(checkpoint: Path) -> None:
    """Compare every file of a checkpoint with the size and hash in its manifest.

    Raises:
        CheckpointError: a file is missing, torn or changed, or there is no manifest.

    """
    try:
        manifest: dict[str, dict[str, Any]] = json.loads((checkpoint / MANIFEST).read_text(encoding="utf-8"))
        found = {name: _describe(checkpoint / name) for name in manifest}
    except (OSError, ValueError) as error:
        raise CheckpointError(f"checkpoint {checkpoint}: no complete manifest or file: {error}") from error
    for name, wanted in manifest.items():
        if found[name] != wanted:
            raise CheckpointError(f"checkpoint {checkpoint}: {name} is {found[name]}; wanted {wanted}")


# --- saving -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What must be the same for a run to be continued."""

    model: str
    seed: int
    train_data: str
    """Fingerprint of the training examples."""
    total_steps: int
    global_batch: int

    @classmethod
    def of(cls, config: RunConfig, examples: Examples, plan: TrainingPlan) -> "Identity":
        """Return the identity of a run."""
        return cls(
            model=config.model,
            seed=config.seed,
            train_data=examples.fingerprint,
            total_steps=plan.total_steps,
            global_batch=plan.split.global_batch,
        )

    def check(self, saved: Mapping[str, Any]) -> None:
        """Compare with the values in a checkpoint.

        Raises:
            CheckpointError: naming all that differ.

        """
        differing = [
            f"{name} is {saved.get(name)!r} there and {value!r} here"
            for name, value in asdict(self).items()
            if saved.get(name) != value
        ]
        if differing:
            raise CheckpointError(f"the checkpoint is of another run: {'; '.join(differing)}")


def save_checkpoint(trainer: Trainer, folder: Path, identity: Identity) -> Path:
    """Write a checkpoint of the run and delete all but the newest that the configuration keeps. Collective.

    Raises:
        CheckpointError: it cannot be written, for want of space say; earlier ones are untouched.

    """
    accelerator, progress = trainer.accelerator, trainer.progress
    weights = get_model_state_dict(trainer.model, options=_FULL)
    optimizer = get_optimizer_state_dict(trainer.model, trainer.optimizer.optimizer, options=_FULL)
    generators = gather_object([_generator_states()])
    path = folder / "checkpoints" / f"step-{progress.step:08d}"
    state = {
        "progress": asdict(progress),
        "identity": asdict(identity),
        "scaler": accelerator.scaler.state_dict() if accelerator.scaler is not None else None,
        "processes": accelerator.num_processes,
    }

    def write() -> None:
        try:
            with whole_folder(path) as part:
                save_file(_contiguous(weights), part / "model.safetensors", metadata={"format": "pt"})
                save_file(
                    _contiguous(_flat(cast("dict[str, Any]", optimizer["state"]))), part / "optimizer.safetensors"
                )
                save_file(_flat(dict(enumerate(generators))), part / "generators.safetensors")
                write_json(part / "state.json", state)
                write_json(part / MANIFEST, {file.name: _describe(file) for file in sorted(part.iterdir())})
        except OSError as error:
            raise CheckpointError(f"cannot write the checkpoint {path}: {error}") from error
        rotate(folder, trainer.config.keep_last)

    on_main(accelerator, write)
    return path


def rotate(folder: Path, keep_last: int) -> None:
    """Delete all but the newest `keep_last` checkpoints."""
    for old in sorted((folder / "checkpoints").glob("step-*"))[:-keep_last]:
        shutil.rmtree(old)


# --- continuing ---------------------------------------------------------------------------------------------------


def resume_from(trainer: Trainer, folder: Path, resume: str, identity: Identity) -> None:
    """Continue from the checkpoint that `resume` means, or from the start where there is none yet. Collective.

    Raises:
        CheckpointError: see `find_checkpoint` and `load_checkpoint`.

    """
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
    state = for_all(accelerator, lambda: _read_state(path, identity))
    files: dict[str, dict[str, Tensor]] = {"model": {}, "optimizer": {}, "generators": {}}
    if accelerator.is_main_process and path is not None:
        files = {name: load_file(path / f"{name}.safetensors") for name in files}
    several = accelerator.num_processes > 1
    try:
        _load_states(trainer, files["model"], files["optimizer"], _RECEIVED if several else _FULL)
    except (RuntimeError, KeyError, ValueError) as error:
        raise CheckpointError(f"the checkpoint does not fit this model: {error}") from error
    if accelerator.scaler is not None and state["scaler"] is not None:
        accelerator.scaler.load_state_dict(state["scaler"])
    (generators,) = broadcast_object_list([files["generators"]])
    _restore_generators(generators, accelerator)
    vars(trainer.progress).update(state["progress"])


def _read_state(path: Path | None, identity: Identity) -> dict[str, Any]:
    if path is None:
        raise CheckpointError("no checkpoint to continue from")
    state: dict[str, Any] = json.loads((path / "state.json").read_text(encoding="utf-8"))
    identity.check(state["identity"])
    return state


def _load_states(
    trainer: Trainer, weights: dict[str, Any], flat: Mapping[str, Tensor], options: StateDictOptions
) -> None:
    """Put weights and optimizer state in place; the parameter groups stay as the settings made them."""
    optimizer = trainer.optimizer.optimizer
    set_model_state_dict(trainer.model, weights, options=options)
    # Asking for the state first makes the optimizer create it: only then is there something to load into.
    saved = get_optimizer_state_dict(trainer.model, optimizer, options=_FULL)
    if flat:
        saved["state"] = cast("dict[str, Any]", _nested(flat))
    set_optimizer_state_dict(trainer.model, optimizer, saved, options=options)


def _generator_states() -> dict[str, Tensor]:
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def _restore_generators(flat: Mapping[str, Tensor], accelerator: Accelerator) -> None:
    """Set this process's generators; a process that the saved run did not have keeps its seeded ones."""
    states = _nested(flat).get(str(accelerator.process_index), {})
    if "cpu" in states:
        torch.set_rng_state(states["cpu"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])


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


def _describe(file: Path) -> dict[str, Any]:
    with file.open("rb") as content:
        return {"bytes": file.stat().st_size, "sha256": hashlib.file_digest(content, "sha256").hexdigest()}


# --- the trained model --------------------------------------------------------------------------------------------


def export_model(trainer: Trainer, tokenizer: PreTrainedTokenizerBase, settings: ReaderSettings, folder: Path) -> None:
    """Save weights, tokenizer and reader settings so that `from_pretrained` loads them from `folder`. Collective.

    Raises:
        CheckpointError: it cannot be written; an earlier model in `folder` is untouched.

    """
    weights = get_model_state_dict(trainer.model, options=_FULL)
    plain = trainer.accelerator.unwrap_model(trainer.model)

    def write() -> None:
        try:
            with whole_folder(folder) as part:
                plain.save_pretrained(part, state_dict=weights)
                tokenizer.save_pretrained(part)
                write_json(part / SETTINGS_FILE, asdict(settings))
        except OSError as error:
            raise CheckpointError(f"cannot write the model to {folder}: {error}") from error

    on_main(trainer.accelerator, write)
