"""A resumed run is the uninterrupted one; a checkpoint is whole or refused; nothing is unpickled."""

import ast
import errno
import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

import qa
from qa import files
from qa.errors import CheckpointError, ConfigError, NotFiniteError, StoppedError, StorageError
from qa.files import MANIFEST
from qa.run_folder import checkpoints as saving
from qa.run_folder.checkpoints import find_checkpoint, rotate
from qa.run_folder.paths import RunPaths
from qa.run_folder.records import (
    finish_interrupted,
)
from qa.runtime.host_copy import HostCopy
from tests.support import tiny
from tests.support.checkpoints import (
    ROWS,
    RUN,
    checkpoints_of,
    deliver,
    names,
    new_loop,
    resume,
    save,
)
from tests.support.damage import flip, truncate
from tests.support.kills import every_kill
from tests.support.trainers import assert_same_weights, loop_for, scaled_loop, weights

# --- exact resume ---


@pytest.mark.parametrize(
    "settings",
    [
        {"epochs": 1.5},
        {"epochs": 1.5, "accumulation_steps": 2, "fused": False},
        {"max_steps": 8, "schedule": "cosine", "warmup_ratio": 0.3, "batch_size": 3, "max_gradient_norm": None},
    ],
    ids=["epochs", "accumulation", "steps"],
)
def test_resumed_run_is_bit_identical_to_the_uninterrupted_one(settings, tmp_path):
    """Stopped after every step: inside an epoch, at its end, at the end of the run. With dropout."""
    whole = new_loop(**settings)
    wanted = []
    for report in whole.steps():
        wanted.append(report)
        save(whole, tmp_path / str(report.number))
        torch.rand(3)  # what an evaluation may draw
    assert len({report.loss for report in wanted}) == len(wanted)
    stops = range(1, len(wanted) + 1) if settings.get("accumulation_steps") else (1, len(wanted) // 2, len(wanted))
    for stop in stops:
        loop = new_loop(model_seed=stop, **settings)
        resume(loop, tmp_path / str(stop))
        assert loop.progress.step == stop
        found = list(loop.steps())
        for one, other in zip(found, wanted[stop:], strict=True):
            assert _without_clock(one) == _without_clock(other)
        assert_same_weights(weights(loop), weights(whole), rtol=0, atol=0)


def _without_clock(report):
    return replace(report, seconds=0.0, waited=0.0, own_seconds=())


def test_progress_comes_back_into_the_same_object(tmp_path):
    loop = new_loop(max_steps=2)
    list(loop.steps())
    loop.progress.note_scores({"f1": 12.5}, None)
    loop.progress.note_scores({"f1": 10.0}, None)
    loop.progress.tracker_ids += ["abc", "def"]
    loop.progress.unlogged = list(new_loop(max_steps=2).steps())
    save(loop, tmp_path)
    deliver(tmp_path)
    other = new_loop(max_steps=2)
    progress = other.progress
    resume(other, tmp_path)
    assert other.progress is progress == loop.progress
    assert (progress.best_score, progress.evaluations_since_best) == (12.5, 1)


def test_another_cut_of_the_same_global_batch_continues_in_the_same_order(tmp_path):
    whole = new_loop(batch_size=4, epochs=2.0)
    order = [report.features for report in whole.steps()]
    half = new_loop(batch_size=4, epochs=2.0)
    steps = half.steps()
    next(steps)
    save(half, tmp_path)
    other = new_loop(batch_size=2, accumulation_steps=2, epochs=2.0)
    resume(other, tmp_path)
    assert [report.features for report in other.steps()] == order[1:]


def test_halved_batches_are_not_gone_on_with_where_graphs_are_replayed(tmp_path, monkeypatch):
    """Though the batches that were asked for are whole steps."""
    monkeypatch.setattr(torch.nn.Module, "compile", lambda *_, **__: None)
    halved = new_loop(batch_size=4, auto_batch_size=True)
    next(halved.steps())
    halved.progress.batch_limit = 2
    save(halved, tmp_path)
    replayed = {"batch_size": 4, "compile": True, "compile_mode": "reduce-overhead"}
    with pytest.raises(ConfigError, match="memory held no more than 2 features of a batch before"):
        resume(new_loop(**replayed), tmp_path)
    resume(new_loop(**replayed | {"compile_mode": "default"}), tmp_path)


@pytest.mark.usefixtures("fresh_accelerator")
def test_loss_scale_is_restored(tmp_path):
    loop = new_loop(make=scaled_loop, max_steps=4, overflow_above=30.0)
    steps = loop.steps()
    assert next(steps).overflows > 0
    next(steps)
    save(loop, tmp_path)
    wanted = loop.accelerator.scaler.state_dict()
    rest = [report.loss for report in steps]
    other = new_loop(make=scaled_loop, model_seed=1, max_steps=4, overflow_above=30.0)
    resume(other, tmp_path)
    assert other.accelerator.scaler.state_dict() == wanted
    assert wanted["scale"] < 2.0**16
    reports = list(other.steps())
    assert [report.loss for report in reports] == rest
    assert [report.overflows for report in reports] == [0, 0]


# --- a run always leaves its model ---


def scored(folder, *, has_model):
    """A run that has come to its end, with a best score; its model is in the folder or not."""
    loop = new_loop(max_steps=4, evaluates=True)
    for report in loop.steps():
        loop.progress.note_scores({"f1": 10.0 * report.number}, None)
        save(loop, folder)
    if has_model:
        deliver(folder)


@pytest.mark.parametrize("has_model", [True, False])
def test_a_run_that_has_ended_without_its_model_evaluates_again(has_model, tmp_path):
    scored(tmp_path, has_model=has_model)
    loop = new_loop(max_steps=4, evaluates=True)
    resume(loop, tmp_path)
    assert loop.progress.best_score == (40.0 if has_model else None)
    assert [report.evaluation_due for report in loop.steps()] == ([] if has_model else [True])


def test_a_checkpoint_elsewhere_or_an_older_one_brings_no_best_score(tmp_path):
    """The best model of that course is not in this folder."""
    scored(tmp_path / "one", has_model=True)
    (tmp_path / "two").mkdir()
    for folder, step, kept in (("two", 4, None), ("one", 3, None), ("one", 4, 40.0)):
        loop = new_loop(max_steps=4, evaluates=True)
        resume(loop, tmp_path / folder, str(tmp_path / "one" / "checkpoints" / f"step-{step:08d}"))
        assert loop.progress.best_score == kept
        assert loop.progress.step == step
        assert bool(loop.progress.tracker_ids) == (kept is None), "a fork is another run at the trackers"


def test_scores_by_another_decoding_bring_no_best_score(tmp_path):
    scored(tmp_path, has_model=True)
    loop = new_loop(max_steps=4, evaluates=True)
    resume(loop, tmp_path, config=replace(RUN, decoding=replace(RUN.decoding, length_cost=0.06)))
    assert loop.progress.best_score is None


# --- evaluations come after saving ---


def test_an_evaluation_changes_only_what_a_checkpoint_says(tmp_path):
    """The tensors stay the same files; an error in the evaluation leaves the run to be resumed with it."""
    loop = new_loop(max_steps=1, evaluates=True)
    list(loop.steps())
    checkpoints = checkpoints_of(loop, tmp_path)
    checkpoints.save()
    path = RunPaths(tmp_path).checkpoint(1)
    before = [(path / name).stat().st_ino for name in ("model.safetensors", "optimizer.safetensors")]
    assert json.loads((path / "state.json").read_text())["progress"]["evaluation_due"]
    loop.progress.note_scores({"f1": 50.0}, None)
    checkpoints.note_evaluation()
    assert [(path / name).stat().st_ino for name in ("model.safetensors", "optimizer.safetensors")] == before
    state = json.loads((path / "state.json").read_text())["progress"]
    assert (state["evaluation_due"], state["best_score"]) == (False, 50.0)
    assert find_checkpoint(RunPaths(tmp_path), "auto") == path


def test_an_evaluation_between_checkpoints_saves_none(tmp_path):
    loop = new_loop(max_steps=3, evaluates=True)
    checkpoints = checkpoints_of(loop, tmp_path)
    next(loop.steps())
    checkpoints.note_evaluation()
    assert not (tmp_path / "checkpoints").exists()


def test_what_is_saved_is_not_saved_again(tmp_path, monkeypatch):
    """As when a signal comes while a checkpoint is written."""
    loop = new_loop(max_steps=1)
    list(loop.steps())
    checkpoints = checkpoints_of(loop, tmp_path)
    checkpoints.save()
    monkeypatch.setattr(saving, "save_file", lambda *_, **__: 1 / 0)
    with pytest.raises(StoppedError), checkpoints.saved_on(StoppedError):
        raise StoppedError("stopped by SIGTERM", 143)
    shutil.rmtree(RunPaths(tmp_path).checkpoint(1))
    with pytest.raises(ZeroDivisionError):
        checkpoints.save()


# --- killed while saving ---


def found_after_a_kill(folder):
    """Step and whether its evaluation is done, of the checkpoint that a resumed run would take."""
    finish_interrupted(RunPaths(folder))
    assert not list((folder / "checkpoints").glob(".*"))
    path = find_checkpoint(RunPaths(folder), "auto")
    progress = json.loads((path / "state.json").read_text())["progress"]
    return progress["step"], not progress["evaluation_due"]


def tiny_loop():
    return loop_for(ROWS, model=tiny.model(num_hidden_layers=1, hidden_size=8, intermediate_size=8), max_steps=2)


@pytest.mark.slow
def test_a_kill_at_any_system_call_of_a_save_leaves_the_checkpoint_before_or_the_new_one(tmp_path):
    """With rotation, which deletes the one before."""
    loop, folder = tiny_loop(), tmp_path / "run"
    steps = loop.steps()
    next(steps)
    save(loop, tmp_path / "before")
    loop.plan = replace(loop.plan, config=replace(loop.plan.config, keep_last=1))
    next(steps)

    def prepare():
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(tmp_path / "before", folder)

    seen = [found_after_a_kill(folder) for _ in every_kill(checkpoints_of(loop, folder).save, prepare=prepare)]
    assert seen == sorted(seen)
    assert set(seen) == {(1, True), (2, True)}


@pytest.mark.slow
@pytest.mark.parametrize("way", ["exchange", "steps"])
def test_a_kill_at_any_system_call_of_an_update_leaves_the_old_state_or_the_new_one(way, tmp_path, monkeypatch):
    """After an evaluation; in one system call, and in renames, as where there is no such call."""
    if way == "steps":
        monkeypatch.setattr(files, "exchange", lambda *_: False)
    loop, folder = tiny_loop(), tmp_path / "run"
    list(loop.steps())
    loop.progress.evaluation_due = True
    checkpoints = checkpoints_of(loop, folder)
    checkpoints.save()
    shutil.copytree(folder, tmp_path / "before")
    loop.progress.evaluation_due = False

    def prepare():
        shutil.rmtree(folder)
        shutil.copytree(tmp_path / "before", folder)

    seen = [found_after_a_kill(folder) for _ in every_kill(checkpoints.save, prepare=prepare)]
    assert seen == sorted(seen)
    assert set(seen) == {(2, False), (2, True)}
    print(f"{len(seen)} system calls")


# --- torn checkpoints ---


@pytest.mark.parametrize("damage", [truncate, flip, Path.unlink])
@pytest.mark.parametrize("file", ["model.safetensors", "optimizer.safetensors", "state.json", MANIFEST])
def test_torn_checkpoint_is_passed_over_and_named(file, damage, run_folder, caplog):
    damage(run_folder / "checkpoints" / "step-00000004" / file)
    found = find_checkpoint(RunPaths(run_folder), "auto")
    assert found is not None
    assert found.name == "step-00000002"
    assert "passed over the checkpoint step-00000004" in caplog.text
    assert file in caplog.text
    with pytest.raises(StorageError, match="step-00000004"):
        find_checkpoint(RunPaths(run_folder), str(run_folder / "checkpoints" / "step-00000004"))


def test_checkpoint_without_its_files_is_an_error_of_ours(run_folder):
    path = run_folder / "checkpoints" / "step-00000004"
    (path / "state.json").unlink()
    (path / MANIFEST).write_text("{}")
    with pytest.raises(CheckpointError, match="cannot read the checkpoint"):
        resume(new_loop(max_steps=6), run_folder)


def test_newest_whole_checkpoint_is_taken(run_folder):
    (run_folder / "checkpoints" / ".step-00000009.part").mkdir()
    found = find_checkpoint(RunPaths(run_folder), "auto")
    assert found is not None
    assert found.name == "step-00000004"


def test_resuming_nothing_starts_from_the_beginning(tmp_path, caplog):
    loop = new_loop(max_steps=2)
    with caplog.at_level(logging.INFO, logger="qa"):
        resume(loop, tmp_path)
    assert loop.progress.step == 0
    assert "starting from step 0" in caplog.text


def test_given_checkpoint_is_taken_although_there_is_a_newer_one(run_folder):
    loop = new_loop(max_steps=6)
    resume(loop, run_folder, str(run_folder / "checkpoints" / "step-00000002"))
    assert loop.progress.step == 2


def test_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(StorageError, match="no-such-step"):
        find_checkpoint(RunPaths(tmp_path), str(tmp_path / "no-such-step"))


# --- rotation ---


def make(folder, *steps):
    for step in steps:
        (folder / f"step-{step:08d}").mkdir(parents=True)
        (folder / f"step-{step:08d}" / "file").write_text("x")


def test_newest_checkpoints_are_kept(tmp_path):
    loop = new_loop(max_steps=5, keep_last=2)
    for _ in loop.steps():
        save(loop, tmp_path)
    assert names(tmp_path / "checkpoints") == ["step-00000004", "step-00000005"]


def test_rotation_keeps_the_one_just_written_and_removes_later_and_torn_ones(tmp_path):
    """After a resume from step 2, since 4 was torn: 3 must not fall to 4."""
    make(tmp_path, 1, 2, 3, 4)
    (tmp_path / ".step-00000005.part").mkdir()
    (tmp_path / "notes").mkdir()
    rotate(tmp_path / "step-00000003", 1)
    assert names(tmp_path) == ["notes", "step-00000003"]


def test_saving_a_step_again_replaces_its_checkpoint(run_folder):
    torn = run_folder / "checkpoints" / "step-00000004"
    truncate(torn / "state.json")
    loop = new_loop(max_steps=6)
    resume(loop, run_folder)
    steps = loop.steps()
    next(steps), next(steps)
    save(loop, run_folder)
    assert find_checkpoint(RunPaths(run_folder), "auto") == torn


# --- writing ---


@pytest.mark.parametrize(
    "failure", [OSError(errno.ENOSPC, "No space left on device"), SafetensorError("I/O error: No space left on device")]
)
def test_full_disk_is_a_clear_error_and_leaves_the_earlier_checkpoints(failure, run_folder, monkeypatch):
    loop = new_loop(max_steps=6)
    resume(loop, run_folder)
    next(loop.steps())
    written = saving.save_file

    def fails_at_the_second(tensors, path, metadata=None):
        if path.name.startswith("optimizer"):
            raise failure
        written(tensors, path, metadata=metadata)

    monkeypatch.setattr(saving, "save_file", fails_at_the_second)
    with pytest.raises(StorageError, match=r"cannot write the checkpoint .*step-00000005.*No space left"):
        save(loop, run_folder)
    assert names(run_folder / "checkpoints") == ["step-00000002", "step-00000004"]
    resume(new_loop(max_steps=6), run_folder)


def test_nothing_unpickles():
    """Of the whole package: a pickle runs code of whoever wrote it."""
    for path in sorted(Path(qa.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert (node.value.id, node.attr) != ("torch", "load"), path.name
            modules = {alias.name for alias in node.names} if isinstance(node, ast.Import) else set()
            modules |= {node.module} if isinstance(node, ast.ImportFrom) else set()
            assert not modules & {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}, path.name


# --- a device that is not waited for ---


def test_nothing_is_saved_of_a_device_whose_last_step_was_not_sound(tmp_path, monkeypatch):
    """On a GPU a step has been taken when its loss comes to be known."""
    monkeypatch.setattr(HostCopy, "is_here", False)
    loop = loop_for(max_steps=5)
    checkpoints = checkpoints_of(loop, tmp_path)
    steps = loop.steps()
    next(steps)
    with torch.no_grad():
        loop.model.qa_outputs.weight[0, 0] = torch.nan
    next(steps)
    with pytest.raises(NotFiniteError, match="step 1"):
        checkpoints.save()
    assert not (tmp_path / "checkpoints").exists()
