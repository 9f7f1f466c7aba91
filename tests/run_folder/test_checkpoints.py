"""A resumed run is the uninterrupted one; a checkpoint is whole or refused; nothing is unpickled."""

import ast
import dataclasses
import errno
import json
import logging
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError, safe_open
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

import qa
from qa.config import FeaturesConfig, RunConfig, TrainingConfig
from qa.data.examples import Examples
from qa.data.validation import DataProblem
from qa.errors import CheckpointError, StorageError
from qa.files import MANIFEST
from qa.modeling.reader import load_reader
from qa.modeling.settings import ReaderSettings, load_settings
from qa.presets import load_config
from qa.run_folder import checkpoints
from qa.run_folder.best_model import keep_model
from qa.run_folder.checkpoints import find_checkpoint, resume_from, rotate, save_checkpoint
from qa.run_folder.identity import FORMAT, Identity
from qa.run_folder.paths import RunPaths
from qa.run_folder.records import prepare_folder, write_records
from qa.training.progress import Progress
from tests.support import tiny
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


def save(loop, folder):
    save_checkpoint(loop, RunPaths(folder), identity_of(loop))
    return RunPaths(folder).checkpoint(loop.progress.step)


def resume(loop, folder, source="auto"):
    resume_from(loop, RunPaths(folder), source, identity_of(loop))


def new_loop(*, make=loop_for, model_seed=0, **training):
    """As in a new process: other weights, nothing of the optimizer, other generators."""
    torch.manual_seed(model_seed + 1000)
    torch.rand(7)
    return make(ROWS, model=tiny.model(seed=model_seed), **training)


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
            assert dataclasses.replace(one, seconds=0.0) == dataclasses.replace(other, seconds=0.0)
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
    save(loop, tmp_path)
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
        ({"config": {"model": "other"}}, "model is 'tiny' there and 'other' here"),
        ({"config": {"features": FeaturesConfig(doc_stride=3)}}, "features.doc-stride is 128 there and 3 here"),
        ({"config": {"training": TrainingConfig(learning_rate=1.0)}}, "training.learning-rate is 0.001 there and 1.0"),
        ({"rows": tiny.small(10)}, "fingerprint of the train data"),
        ({"validation": tiny.small(10)}, "fingerprint of the validation data"),
        ({"loop": {"max_steps": 7}}, "steps of the run is 6 there and 7 here"),
        ({"loop": {"max_steps": 6, "batch_size": 3}}, "features of a step is 2 there and 3 here"),
    ],
)
def test_another_run_is_refused_with_what_differs(change, named, saved):
    loop = new_loop(**change.get("loop", {"max_steps": 6}))
    before = weights(loop)
    config = dataclasses.replace(RUN, **change.get("config", {}))
    data = {name: change[name] for name in ("rows", "validation") if name in change}
    with pytest.raises(CheckpointError) as error:
        resume_from(loop, RunPaths(saved), "auto", identity_of(loop, config, **data))
    assert named in str(error.value)
    assert_same_weights(weights(loop), before, rtol=0, atol=0)
    assert loop.progress.step == 0


def test_all_that_differs_is_named():
    one = Identity({"model": "a", "seed": 1, "schedule": 2})
    with pytest.raises(CheckpointError, match=r"model is 'b' there and 'a' here; seed is None there and 1 here$"):
        one.check({"format": FORMAT, "identity": {"model": "b", "schedule": 2}})


def test_checkpoints_of_the_first_layout_are_read():
    """Without a format, with prose for keys, and without the key of the features."""
    state = json.loads((Path(__file__).parent / "state_of_format_0.json").read_text())
    keys = {
        "model": "tiny",
        "seed": 42,
        "train_fingerprint": "a" * 64,
        "validation_fingerprint": "b" * 64,
        "max_length": 64,
        "doc_stride": 8,
        "max_question_length": 16,
        "features_key": "c" * 32,
        "learning_rate": 0.001,
        "schedule": "linear",
        "warmup_ratio": 0.1,
        "steps_per_epoch": 6,
        "total_steps": 12,
        "global_batch_size": 2,
    }
    Identity(keys).check(state)
    Progress(**state["progress"])
    with pytest.raises(CheckpointError, match=r"training\.schedule is 'linear' there and 'cosine' here$"):
        Identity(keys | {"schedule": "cosine"}).check(state)


def test_a_tokenizer_that_changed_is_noticed():
    one = Identity({"model": "a", "features_key": "x"})
    with pytest.raises(CheckpointError, match=r"key of the features .* is 'y' there and 'x' here"):
        one.check({"format": FORMAT, "identity": {"model": "a", "features_key": "y"}})
    with pytest.raises(CheckpointError, match=r"of another run: features\.doc-stride is 2 there and 1 here$"):
        Identity({"features_key": "x", "doc_stride": 1}).check(
            {"format": FORMAT, "identity": {"features_key": "y", "doc_stride": 2}}
        )


def test_a_checkpoint_of_a_newer_version_is_refused():
    with pytest.raises(CheckpointError, match=rf"format {FORMAT + 1}; wanted {FORMAT} or less"):
        Identity({}).check({"format": FORMAT + 1, "identity": {}})


def test_another_architecture_is_refused(saved):
    loop = loop_for(ROWS, model=tiny.model(num_hidden_layers=1), max_steps=6)
    with pytest.raises(CheckpointError, match="does not fit this model"):
        resume(loop, saved)


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
    written = checkpoints.save_file

    def fails_at_the_second(tensors, path, metadata=None):
        if path.name.startswith("optimizer"):
            raise failure
        written(tensors, path, metadata=metadata)

    monkeypatch.setattr(checkpoints, "save_file", fails_at_the_second)
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
    prepare_folder(folder, resumes=False)
    prepare_folder(folder, resumes=False)  # empty
    (folder / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"run is not empty; wanted a new one, or --resume"):
        prepare_folder(folder, resumes=False)
    prepare_folder(folder, resumes=True)


def test_run_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot make the run folder"):
        prepare_folder(tmp_path / "file" / "run", resumes=False)


def test_records_say_what_the_run_is(tmp_path, caplog):
    config = dataclasses.replace(RUN, output_dir=tmp_path)
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
