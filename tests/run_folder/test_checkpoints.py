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
from safetensors import SafetensorError, safe_open
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

import qa
from qa import files
from qa.config import DecodingConfig, FeaturesConfig, RecipeConfig, RunConfig, TrainingConfig
from qa.data.examples import Examples
from qa.data.validation import DataProblem
from qa.errors import CheckpointError, NotFiniteError, StoppedError, StorageError
from qa.features.windows import Ragged
from qa.files import MANIFEST
from qa.modeling.fingerprint import model_settings, weights_fingerprint
from qa.modeling.reader import load_reader
from qa.modeling.settings import ReaderSettings, load_settings
from qa.presets import load_config
from qa.run_folder import checkpoints as saving
from qa.run_folder.best_model import keep_model
from qa.run_folder.checkpoints import Checkpoints, find_checkpoint, rotate
from qa.run_folder.identity import FORMAT, Identity, features_fingerprint
from qa.run_folder.paths import RunPaths
from qa.run_folder.records import (
    finish_interrupted,
    make_folder,
    require_delivered,
    require_fresh,
    write_records,
)
from qa.runtime.host_copy import HostCopy
from qa.training.progress import Progress
from tests.support import tiny
from tests.support.kills import every_kill
from tests.support.trainers import assert_same_weights, loop_for, scaled_loop, weights

ROWS = tiny.small(11)
RUN = RunConfig(model="tiny", training=TrainingConfig(learning_rate=1e-3))
SETTINGS = ReaderSettings(
    max_length=64,
    doc_stride=8,
    max_question_length=16,
    n_best=20,
    max_answer_tokens=30,
    search="exact",
    null_possible=True,
    no_answer_threshold=0.25,
)


def identity_of(loop, config=RUN, rows=ROWS, validation=ROWS):
    return Identity.of(config, loop, train=Examples(rows=rows), validation=Examples(rows=validation))


def checkpoints_of(loop, folder, **identity):
    return Checkpoints(RunPaths(folder), loop, identity_of(loop, **identity), SETTINGS)


def save(loop, folder):
    checkpoints_of(loop, folder).save()
    return RunPaths(folder).checkpoint(loop.progress.step)


def resume(loop, folder, source="auto", **identity):
    checkpoints_of(loop, folder, **identity).resume(source)


def new_loop(*, make=loop_for, model_seed=0, weights="those of the run", **training):
    """As in a new process: other weights (said to be the run's), nothing of the optimizer, other generators."""
    torch.manual_seed(model_seed + 1000)
    torch.rand(7)
    loop = make(ROWS, model=tiny.model(seed=model_seed), **training)
    loop.plan = replace(loop.plan, weights_fingerprint=weights)
    return loop


def names(folder):
    return sorted(path.name for path in folder.iterdir())


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
            assert replace(one, seconds=0.0) == replace(other, seconds=0.0)
        assert_same_weights(weights(loop), weights(whole), rtol=0, atol=0)


def test_optimizer_state_comes_back_bit_by_bit(tmp_path):
    loop = new_loop(max_steps=3)
    list(loop.steps())
    save(loop, tmp_path)
    other = new_loop(model_seed=1, max_steps=3)
    resume(other, tmp_path)
    one, two = (t.optimizer.optimizer.state_dict() for t in (loop, other))
    assert one["state"].keys() == two["state"].keys()
    for at, moments in one["state"].items():
        assert moments.keys() == two["state"][at].keys() >= {"exp_avg", "exp_avg_sq", "step"}
        for name, value in moments.items():
            assert torch.equal(value, two["state"][at][name]), name
    for group, again in zip(one["param_groups"], two["param_groups"], strict=True):
        assert group["weight_decay"] == again["weight_decay"]


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


# --- what may not change ---


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    loop = new_loop(max_steps=6)
    for report in loop.steps():
        if report.number in {2, 4}:
            save(loop, folder)
    return folder


@pytest.fixture
def run_folder(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"config": {"seed": 7}}, "seed is 42 there and 7 here"),
        ({"config": {"features": FeaturesConfig(doc_stride=3)}}, "features.doc-stride is 128 there and 3 here"),
        ({"config": {"training": TrainingConfig(learning_rate=1.0)}}, "training.learning-rate is 0.001 there and 1.0"),
        ({"rows": tiny.small(10)}, "fingerprint of the train data"),
        ({"validation": tiny.small(10)}, "fingerprint of the validation data"),
        ({"loop": {"max_steps": 6, "weights": "others"}}, "weights is 'those of the run' there and 'others'"),
        ({"config": {"training": replace(RUN.training, weight_decay=0.5)}}, "weight-decay is 0.01 there and 0.5 here"),
        ({"config": {"training": replace(RUN.training, adam_epsilon=1e-3)}}, "adam-epsilon is 1e-08 there and 0.001"),
        ({"config": {"training": replace(RUN.training, max_gradient_norm=None)}}, "norm is 1.0 there and None here"),
        ({"loop": {"max_steps": 6, "batch_size": 3}}, "features of a step is 2 there and 3 here"),
        ({"config": {"training": replace(RUN.training, adam_betas=(0.5, 0.9))}}, r"adam-betas is '[0.9, 0.999]' there"),
        ({"config": {"training": replace(RUN.training, warmup_steps=3)}}, "training.warmup-steps is None there and 3"),
        (
            {"config": {"recipe": RecipeConfig(objective="joint")}},
            "recipe.objective is 'independent' there and 'joint'",
        ),
        ({"config": {"recipe": RecipeConfig(dropout=0.3)}}, "recipe.dropout is None there and 0.3 here"),
        ({"config": {"recipe": RecipeConfig(averaging="ema")}}, "recipe.averaging is 'none' there and 'ema' here"),
    ],
)
def test_another_run_is_refused_with_what_differs(change, named, saved):
    loop = new_loop(**change.get("loop", {"max_steps": 6}))
    before = weights(loop)
    config = replace(RUN, **change.get("config", {}))
    data = {name: change[name] for name in ("rows", "validation") if name in change}
    with pytest.raises(CheckpointError) as error:
        resume(loop, saved, config=config, **data)
    assert named in str(error.value)
    assert_same_weights(weights(loop), before, rtol=0, atol=0)
    assert loop.progress.step == 0


@pytest.mark.parametrize(
    "change",
    [
        {"training": replace(RUN.training, schedule_power=3.0)},
        {"recipe": RecipeConfig(averaging_decay=0.5, averaging_share=0.5)},
        {"recipe": RecipeConfig(short_length=32)},
    ],
)
def test_settings_without_an_effect_are_no_other_run(change, run_folder):
    loop = new_loop(max_steps=6)
    resume(loop, run_folder, config=replace(RUN, **change))
    assert loop.progress.step == 4


def test_all_that_differs_is_named():
    one = Identity({"weights": "a", "seed": 1, "schedule": 2}, {})
    with pytest.raises(CheckpointError, match=r"weights is 'b' there and 'a' here; seed is None there and 1 here$"):
        one.check({"format": FORMAT, "identity": {"weights": "b", "schedule": 2}})


def test_checkpoints_of_the_first_layout_are_read():
    """Without a format, with prose for keys, and without the key of the features."""
    state = json.loads((Path(__file__).parent / "state_of_format_0.json").read_text())
    keys = {
        "weights": "unknown then",
        "seed": 42,
        "train_fingerprint": "a" * 64,
        "validation_fingerprint": "b" * 64,
        "max_length": 64,
        "doc_stride": 8,
        "max_question_length": 16,
        "features_content": "unknown then",
        "learning_rate": 0.001,
        "schedule": "linear",
        "warmup_ratio": 0.1,
        "steps_per_epoch": 6,
        "total_steps": 12,
        "global_batch_size": 2,
    }
    Identity(keys, {}).check(state)
    progress = Progress()
    progress.restore(state["progress"])
    assert progress.step == state["progress"]["step"]
    with pytest.raises(CheckpointError, match=r"training\.schedule is 'linear' there and 'cosine' here$"):
        Identity(keys | {"schedule": "cosine"}, {}).check(state)


def test_a_tokenizer_that_changed_is_noticed():
    """By what it makes of the data, not by its name."""
    one = Identity({"features_content": "x"}, {})
    with pytest.raises(CheckpointError, match=r"hash of the features .* is 'y' there and 'x' here"):
        one.check({"format": FORMAT, "identity": {"features_content": "y"}})
    with pytest.raises(CheckpointError, match=r"of another run: features\.doc-stride is 2 there and 1 here$"):
        Identity({"features_content": "x", "doc_stride": 1}, {}).check(
            {"format": FORMAT, "identity": {"features_content": "y", "doc_stride": 2}}
        )


def test_the_hash_of_features_covers_each_array():
    features = new_loop(max_steps=1).features
    found = {features_fingerprint(features), features_fingerprint(replace(features, key="elsewhere"))}
    assert len(found) == 1
    for name in ("token_start", "token_end", "first", "size", "example", "context_of"):
        changed = getattr(features, name).copy()
        changed[-1] += 1
        found.add(features_fingerprint(replace(features, **{name: changed})))
    for name in ("context_ids", "question_ids"):
        old = getattr(features, name)
        values = old.values.copy()
        values[0] += 1
        found.add(features_fingerprint(replace(features, **{name: Ragged(values, old.bounds)})))
    assert len(found) == 9


def test_weights_and_dropout_are_content_not_names(tmp_path):
    """The same folder name with other weights or another dropout; another name with the same ones."""
    one, same, other = (tiny.save_reader(tmp_path / name, seed=seed) for name, seed in (("a", 0), ("b", 0), ("c", 1)))
    prints = [weights_fingerprint(load_reader(str(folder)).model) for folder in (one, same, other)]
    assert prints[0] == prints[1] != prints[2]
    settings = [model_settings(load_reader(str(folder)).model) for folder in (one, same)]
    assert settings[0] == settings[1]
    tiny.save_reader(one, hidden_dropout_prob=0.5)
    changed = model_settings(load_reader(str(one)).model)
    assert {name for name in changed if changed[name] != settings[0][name]} == {"hidden_dropout_prob"}


def test_a_changed_dropout_is_named():
    one = Identity({"model_config/hidden_dropout_prob": "0.1", "model_config/new_in_this_version": "1"}, {})
    saved = {"model_config/hidden_dropout_prob": "0.0", "model_config/gone_since": "1"}
    with pytest.raises(CheckpointError, match=r"run: hidden_dropout_prob of the model is '0\.0' there and '0\.1'"):
        one.check({"format": FORMAT, "identity": saved})


def test_precision_is_part_of_the_identity(saved):
    loop = new_loop(max_steps=6)
    identity = identity_of(loop)
    state = json.loads((saved / "checkpoints" / "step-00000004" / "state.json").read_text())
    changed = Identity({**identity.values, "precision": "bf16"}, identity.changeable)
    with pytest.raises(CheckpointError, match="mixed precision is 'no' there and 'bf16' here"):
        changed.check(state)


def test_what_may_change_is_logged_and_recorded(run_folder, caplog):
    config = replace(RUN, model="elsewhere", training=replace(RUN.training, keep_last=7), output_dir=Path("new"))
    with caplog.at_level(logging.INFO, logger="qa"):
        resume(new_loop(max_steps=6), run_folder, config=config)
    assert "changed since the checkpoint: training.keep-last: 2 -> 7" in caplog.text
    (attempt,) = (json.loads(line) for line in (run_folder / "attempts.jsonl").read_text().splitlines())
    assert attempt["step"] == 4
    assert attempt["checkpoint"].endswith("step-00000004")
    assert attempt["changes"]["model"] == "'tiny' -> 'elsewhere'"
    assert set(attempt["changes"]) >= {"model", "training.keep-last", "output-dir"}


def test_another_judge_forgets_the_best_score(tmp_path):
    """Scores of other answers or another metric are not comparable; how they are computed does not matter."""
    loop = new_loop(max_steps=2)
    list(loop.steps())
    loop.progress.note_scores({"f1": 50.0}, None)
    save(loop, tmp_path)
    deliver(tmp_path)
    for decoding, kept in ((DecodingConfig(batch_size=1), 50.0), (DecodingConfig(max_answer_tokens=2), None)):
        other = new_loop(max_steps=2)
        resume(other, tmp_path, config=replace(RUN, decoding=decoding))
        assert other.progress.best_score == kept


# --- a run that becomes longer ---


@pytest.mark.parametrize("extend", [None, "stretch"])
def test_a_longer_run_with_a_constant_rate_is_the_one_planned_so(extend, tmp_path):
    whole, short = new_loop(max_steps=6), new_loop(max_steps=3)
    list(whole.steps()), list(short.steps())
    save(short, tmp_path)
    longer = new_loop(model_seed=1, max_steps=6, extend=extend)
    resume(longer, tmp_path)
    list(longer.steps())
    assert_same_weights(weights(longer), weights(whole), rtol=0, atol=0)


FALLING = {"schedule": "linear", "warmup_ratio": 0.0}


@pytest.mark.parametrize(
    ("extend", "rates"),
    [("stretch", [1.0, 2 / 3, 1 / 3, 3 / 6, 2 / 6, 1 / 6]), ("restart", [1.0, 2 / 3, 1 / 3, 1.0, 2 / 3, 1 / 3])],
)
def test_a_longer_run_whose_rate_changes_says_how(extend, rates, tmp_path):
    short = new_loop(max_steps=3, **FALLING)
    found = [report.learning_rate for report in short.steps()]
    save(short, tmp_path)
    with pytest.raises(CheckpointError, match=r"steps of the run is 3 there and 6 here.*training\.extend.*stretch"):
        resume(new_loop(max_steps=6, **FALLING), tmp_path)
    longer = new_loop(max_steps=6, extend=extend, **FALLING)
    resume(longer, tmp_path)
    steps = longer.steps()
    found.append(next(steps).learning_rate)
    save(longer, tmp_path)
    again = new_loop(max_steps=6, extend=extend, **FALLING)  # stopped and resumed on the way
    resume(again, tmp_path)
    found += [report.learning_rate for report in again.steps()]
    assert found == pytest.approx([1e-3 * rate for rate in rates])


@pytest.mark.parametrize(
    ("recipe", "named"),
    [
        ({"short_windows": 0.5, "short_length": 32}, "the steps on short windows"),
        ({"averaging": "tail", "averaging_share": 0.5}, "the steps that are averaged"),
    ],
)
def test_a_longer_run_whose_recipe_goes_by_shares_says_how(recipe, named, tmp_path):
    """Though its learning rate is constant: half of the steps are other steps."""
    short = new_loop(max_steps=4, recipe=recipe)
    list(short.steps())
    save(short, tmp_path)
    with pytest.raises(CheckpointError, match=rf"is 4 there and 8 here, which changes {named}; wanted"):
        resume(new_loop(max_steps=8, recipe=recipe), tmp_path)
    longer = new_loop(max_steps=8, extend="stretch", recipe=recipe)
    resume(longer, tmp_path)
    assert len(list(longer.steps())) == 4


def test_a_run_cannot_become_shorter_than_it_is(tmp_path):
    loop = new_loop(max_steps=3)
    list(loop.steps())
    save(loop, tmp_path)
    with pytest.raises(CheckpointError, match="3 steps are done; wanted at least as many in all, found 2"):
        resume(new_loop(max_steps=2), tmp_path)


# --- a run always leaves its model ---


def deliver(folder):
    (folder / "model").mkdir()
    (folder / "predictions.json").touch()


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


def test_an_end_without_model_or_predictions_is_an_error(tmp_path):
    with pytest.raises(StorageError, match=r"without model, predictions\.json, nbest_predictions\.json, null_odds"):
        require_delivered(RunPaths(tmp_path), evaluated=True)
    (tmp_path / "model").mkdir()
    require_delivered(RunPaths(tmp_path), evaluated=False)


def test_another_architecture_is_refused(saved):
    loop = loop_for(ROWS, model=tiny.model(num_hidden_layers=1), max_steps=6)
    loop.plan = new_loop(max_steps=6).plan
    with pytest.raises(CheckpointError, match="does not fit this model"):
        resume(loop, saved)


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


def truncate(path):
    path.write_bytes(path.read_bytes()[:-3])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 16
    path.write_bytes(content)


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


def test_checkpoint_holds_nothing_that_could_be_pickled(saved):
    for checkpoint in (saved / "checkpoints").iterdir():
        assert names(checkpoint) == [MANIFEST, "model.safetensors", "optimizer.safetensors", "state.json"]
        json.loads((checkpoint / "state.json").read_text())
        for name in ("model", "optimizer"):
            with safe_open(checkpoint / f"{name}.safetensors", framework="pt") as file:
                assert list(file.keys())


def test_nothing_unpickles():
    """Of the whole package: a pickle runs code of whoever wrote it."""
    for path in sorted(Path(qa.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert (node.value.id, node.attr) != ("torch", "load"), path.name
            modules = {alias.name for alias in node.names} if isinstance(node, ast.Import) else set()
            modules |= {node.module} if isinstance(node, ast.ImportFrom) else set()
            assert not modules & {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}, path.name


# --- the run folder ---


def test_run_folder_of_another_run_is_not_overwritten(tmp_path):
    folder = tmp_path / "deep" / "run"
    make_folder(folder)
    require_fresh(folder)
    for name in (".DS_Store", "lost+found", ".nfs0001"):
        (folder / name).touch()
    require_fresh(folder)
    for name in ("config.json", "a", "b", "z"):
        (folder / name).touch()
    with pytest.raises(CheckpointError, match=r"run is not empty: it holds a, b, config\.json and 1 more; wanted"):
        require_fresh(folder)


def test_run_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot make the run folder"):
        make_folder(tmp_path / "file" / "run")


def test_records_say_what_the_run_is(tmp_path, caplog):
    config = replace(RUN, output_dir=tmp_path)
    problem = DataProblem(row=3, id="q3", kind="answer", found="x", wanted="y", action="skipped")
    loop = new_loop(max_steps=1)
    write_records(
        RunPaths(tmp_path), loop.accelerator, config, {"train": Examples(rows=ROWS, problems=(problem, problem))}
    )
    assert load_config(tmp_path / "config.json") == config
    environment = json.loads((tmp_path / "environment.json").read_text())
    assert environment["versions"]["torch"] == torch.__version__
    assert len((tmp_path / "data_problems.jsonl").read_text().splitlines()) == 2
    assert "train data: 2 examples skipped" in caplog.text


# --- the trained model ---


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_exported_model_loads_with_the_library_and_answers_alike(family, tmp_path):
    loop = loop_for(ROWS, family=family, max_steps=1)
    list(loop.steps())
    tokenizer = tiny.tokenizer(family)
    keep_model(RunPaths(tmp_path), loop, tokenizer, SETTINGS)
    model = AutoModelForQuestionAnswering.from_pretrained(tmp_path / "model")
    assert_same_weights(dict(model.state_dict()), weights(loop), rtol=0, atol=0)
    again = AutoTokenizer.from_pretrained(tmp_path / "model")
    text = "Where is Zürich?", "It is in  Switzerland."
    assert again(*text)["input_ids"] == tokenizer(*text)["input_ids"]
    assert load_settings(tmp_path / "model") == SETTINGS
    assert not {".bin", ".pt", ".pkl"} & {path.suffix for path in (tmp_path / "model").iterdir()}
    assert load_reader(str(tmp_path / "model")).settings == SETTINGS


def test_failed_export_leaves_the_earlier_model(tmp_path, monkeypatch):
    loop = new_loop(max_steps=1)
    keep_model(RunPaths(tmp_path), loop, tiny.tokenizer(), SETTINGS)
    before = names(tmp_path / "model")

    def full(*_, **__):
        raise SafetensorError("I/O error: No space left on device")

    monkeypatch.setattr(type(loop.model), "save_pretrained", full)
    with pytest.raises(StorageError, match=r"cannot write the model .*No space left"):
        keep_model(RunPaths(tmp_path), loop, tiny.tokenizer(), SETTINGS)
    assert names(tmp_path / "model") == before
    assert names(tmp_path) == ["model"]


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
