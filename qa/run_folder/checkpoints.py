"""Save, find, load, rotate checkpoints.

A checkpoint is a folder under `checkpoints/`: weights and optimizer state as safetensors, the rest as JSON, and a
manifest with the size and hash of each file. Nothing is unpickled. Generators need no saving: orders and dropout are
functions of seed and step. States are gathered to the main process, which alone writes; on resuming it alone reads, and
the others receive. So a run needs no disk that its machines share, and the number of processes may change.

Models that are sharded may be saved so too (`shards`): each process writes and reads its part, the number of processes
may change all the same, and what one way of running has saved another continues.
"""

import contextlib
import json
import logging
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import broadcast_object_list
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from qa.errors import CheckpointError, StorageError
from qa.files import check_manifest, link_or_copy, whole_folder, write_json, write_manifest
from qa.modeling.settings import ReaderSettings
from qa.run_folder.history import forget_later_lines
from qa.run_folder.identity import FORMAT, Identity, require_extension
from qa.run_folder.lock import OWNER
from qa.run_folder.paths import CHECKPOINT_NAMES, RunPaths
from qa.run_folder.records import note_attempt
from qa.run_folder.shards import Shards, names_in, require_shared, saved_tensors, whole_file_of
from qa.run_folder.states import (
    AVERAGE,
    MODEL,
    OPTIMIZER,
    gather_optimizer,
    gather_weights,
    is_sharded,
    load_shards,
    load_states,
    own_shards,
)
from qa.runtime.collectives import from_main, on_main
from qa.runtime.stopping import SaveTimer
from qa.training.loop import TrainingLoop

log = logging.getLogger(__name__)

STATE = "state.json"


class Checkpoints:
    """The checkpoints of one run. All methods are collective."""

    def __init__(self, paths: RunPaths, loop: TrainingLoop, identity: Identity, reader: ReaderSettings) -> None:
        """Start the clock of the minutes between checkpoints; `reader` says how a model of this run is used."""
        self._paths, self._loop, self._identity, self._reader = paths, loop, identity, reader
        self._timer = SaveTimer(loop.plan.config.save_minutes)
        self._shards = Shards() if is_sharded(loop) else None
        self._saved: dict[str, Any] = {}
        """The progress in the newest checkpoint that has the weights as they are now."""

    def resume(self, resume: str | None) -> None:
        """Continue from the checkpoint that `resume` means; None: from the start.

        Raises:
            CheckpointError, StorageError: see `find_checkpoint`, `load_checkpoint` and `require_shared`.

        """
        if self._shards is not None:
            require_shared(self._loop.accelerator, self._paths.root / OWNER)
        changes: dict[str, str] = {}
        path = self._found(resume) if resume is not None else None
        if path is not None:
            changes = load_checkpoint(self._loop, path, self._identity, self._shards)
            self._take_stock(path)
            log.info("continuing from %s at step %d", path, self._loop.progress.step)
        step = self._loop.progress.step
        if resume is not None:  # from the start, too: a killed run may have logged before its first checkpoint
            on_main(self._loop.accelerator, lambda: forget_later_lines(self._paths, self._loop.progress))
        on_main(self._loop.accelerator, lambda: note_attempt(self._paths, self._loop.accelerator, step, path, changes))

    def save(self) -> None:
        """Save the run as it is now; where its weights are saved already, only what else has changed since.

        Shards are written while the run goes on; the next call, or `finish`, waits for them.

        Raises:
            NotFiniteError: the newest step was not sound.
            StorageError: it, or the one before, cannot be written, for want of space say; earlier ones are untouched.

        """
        self._loop.settle()
        self.finish()
        path = self._paths.checkpoint(self._loop.progress.step)
        is_saved, has_weights = from_main(self._loop.accelerator, lambda: self._stands(path))
        if is_saved:
            return
        if has_weights:
            update_checkpoint(self._loop, path, self._state())
        elif self._shards is not None:
            begin_checkpoint(self._loop, path, self._state(), self._shards)
        else:
            save_checkpoint(self._loop, path, self._state())
        self._saved = asdict(self._loop.progress)

    def finish(self) -> None:
        """Wait until all that is saved is on the disk.

        Raises:
            StorageError: see `save`.

        """
        if self._shards is not None:
            self._shards.finish()

    def note_evaluation(self) -> None:
        """Bring the checkpoint that was saved before the evaluation up to date, or save one if the run has ended."""
        if self._saved.get("step") == self._loop.progress.step or self._loop.has_ended:
            self.save()

    def timer_is_due(self) -> bool:
        """Return whether it is time for a checkpoint by the clock."""
        return self._timer.is_due(self._loop.accelerator)

    @contextlib.contextmanager
    def saved_on(self, error: type[BaseException]) -> Iterator[None]:
        """Save when such an error passes, which all processes must raise together; on leaving, all saved is written."""
        try:
            yield
        except error:
            self.save()
            raise
        finally:
            self.finish()

    def _stands(self, path: Path) -> tuple[bool, bool]:
        """Return whether the run as it is now is saved, and whether its weights are."""
        has_weights = self._saved.get("step") == self._loop.progress.step and path.is_dir()
        return has_weights and self._saved == asdict(self._loop.progress), has_weights

    def _state(self) -> dict[str, Any]:
        scaler, identity = self._loop.accelerator.scaler, self._identity
        return {
            "format": FORMAT,
            "progress": asdict(self._loop.progress),
            "identity": dict(identity.values),
            "changeable": dict(identity.changeable),
            "scaler": scaler.state_dict() if scaler is not None else None,
            "processes": self._loop.accelerator.num_processes,
            "reader": asdict(self._reader),
        }

    def _found(self, resume: str) -> Path | None:
        """Return the checkpoint on all processes, of which only the main one need see it; None: start anew."""
        path = from_main(self._loop.accelerator, lambda: find_checkpoint(self._paths, resume))
        if path is None:
            log.info("no complete checkpoint in %s: starting from step 0", self._paths.root)
        return path

    def _take_stock(self, path: Path) -> None:
        """Find out what of the run is in this folder: a fork, or a run without its model, must deliver anew."""
        progress, paths = self._loop.progress, self._paths
        newest, has_model = from_main(self._loop.accelerator, lambda: _stock(paths, path))
        if newest:
            self._saved = asdict(progress)
        else:
            progress.tracker_ids.append(uuid.uuid4().hex[:8])
        if newest and has_model:
            return
        progress.forget_best()
        if self._loop.has_ended and self._loop.plan.evaluates:
            log.info("the best model is not in %s: evaluating again", paths.root)
            progress.evaluation_due = True


def _stock(paths: RunPaths, path: Path) -> tuple[bool, bool]:
    """Return whether a checkpoint is the newest of the run folder, and whether that has model and predictions."""
    own = sorted(paths.checkpoints.glob(CHECKPOINT_NAMES))
    newest = bool(own) and own[-1].resolve() == path.resolve()
    return newest, paths.model.is_dir() and paths.predictions.is_file()


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


def save_checkpoint(loop: TrainingLoop, path: Path, state: Mapping[str, Any]) -> None:
    """Write a checkpoint of the run and delete all but the newest that the configuration keeps. Collective.

    Raises:
        StorageError: it cannot be written, for want of space say; earlier ones are untouched.

    """
    weights, optimizer = gather_weights(loop), gather_optimizer(loop)  # only the main process gets them
    average = _gather_average(loop)

    def write(part: Path) -> None:
        save_file(_contiguous(weights), part / whole_file_of(MODEL), metadata={"format": "pt"})
        save_file(_contiguous(optimizer), part / whole_file_of(OPTIMIZER))
        if average is not None:
            save_file(average, part / whole_file_of(AVERAGE), metadata={"format": "pt"})

    on_main(loop.accelerator, lambda: _write(path, write, state, keep_last=loop.plan.config.keep_last))


def begin_checkpoint(loop: TrainingLoop, path: Path, state: Mapping[str, Any], shards: Shards) -> None:
    """Begin to write a checkpoint to which every process adds its part; rotate when it is there. Collective.

    Raises:
        StorageError: the one before cannot be written; earlier ones are untouched.

    """

    def complete(part: Path) -> None:
        write_json(part / STATE, state)
        write_manifest(part)

    shards.begin(path, own_shards(loop), complete=complete, then=lambda: rotate(path, loop.plan.config.keep_last))


def update_checkpoint(loop: TrainingLoop, path: Path, state: Mapping[str, Any]) -> None:
    """Replace what a checkpoint says of the run's progress; its tensors stay, as links where the disk has them.

    Collective.

    Raises:
        StorageError: it cannot be written; it is as it was.

    """

    def write(part: Path) -> None:
        for file in path.glob("*.safetensors"):
            link_or_copy(file, part / file.name)

    on_main(loop.accelerator, lambda: _write(path, write, state, keep_last=loop.plan.config.keep_last))


def _write(path: Path, write: Callable[[Path], None], state: Mapping[str, Any], *, keep_last: int) -> None:
    try:
        with whole_folder(path) as part:
            write(part)
            write_json(part / STATE, state)
            write_manifest(part)
        rotate(path, keep_last)
    except (OSError, SafetensorError) as error:  # which of the two a full disk raises depends on the file
        raise StorageError(f"cannot write the checkpoint {path}: {error}") from error


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


def load_checkpoint(loop: TrainingLoop, path: Path, identity: Identity, shards: Shards | None = None) -> dict[str, str]:
    """Continue from a checkpoint that the main process finds at `path`; return what has changed. Collective.

    With `shards`, each process reads its part, where the checkpoint is in parts.

    Raises:
        CheckpointError: it is of another run, or does not hold what this model and optimizer need.
        ConfigError: see `StepLoader.require_whole_steps`.

    """
    accelerator = loop.accelerator
    read = on_main(accelerator, lambda: _read(path, identity, whole=shards is None))
    found, names, tensors = read or ({}, set(), [{}, {}, {}])
    state, names = broadcast_object_list([found, names])
    extended = require_extension(state, loop.plan)
    try:
        if shards is not None and names:
            load_shards(loop, names, partial(shards.read, path))
        else:
            load_states(loop, *tensors)
    except (RuntimeError, KeyError, ValueError) as error:
        raise CheckpointError(f"the checkpoint does not fit this model: {error}") from error
    if accelerator.scaler is not None and state["scaler"] is not None:
        accelerator.scaler.load_state_dict(state["scaler"])
    loop.progress.restore(state["progress"])
    loop.loader.require_whole_steps()
    if extended is not None and loop.plan.config.extend == "restart":
        loop.progress.schedule_start = loop.progress.step
    changes = identity.changes(state) | ({"steps of the run": extended} if extended is not None else {})
    for name, change in changes.items():
        log.info("changed since the checkpoint: %s: %s", name, change)
    if not identity.judges_alike(state):
        loop.progress.forget_best()
    return changes


def _read(path: Path, identity: Identity, *, whole: bool) -> tuple[dict[str, Any], set[str], list[dict[str, Tensor]]]:
    """Return the state, and the names of tensors in shards or else, or if they are wanted `whole`, the tensors."""
    try:
        state: dict[str, Any] = json.loads((path / STATE).read_text(encoding="utf-8"))
        identity.check(state)
        names = set() if whole else names_in(path)
        return state, names, [] if names else [saved_tensors(path, kind) for kind in (MODEL, OPTIMIZER, AVERAGE)]
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise CheckpointError(f"cannot read the checkpoint {path}: {error}") from error


def _contiguous(tensors: Mapping[str, Any]) -> dict[str, Tensor]:
    """Copy what shares memory: safetensors takes each tensor for itself."""
    return {name: tensor.detach().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}
