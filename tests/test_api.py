"""Training and evaluating from Python: what the command line does, and what comes back."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import get_type_hints

import pytest

import qa
from qa.api import RunSettings
from qa.config import ACCUMULATION, RunConfig, TrainingConfig
from qa.errors import CheckpointError, ConfigError, MissingPackageError
from tests.support import tiny
from tests.support.attempts import free_port

ROOT = Path(__file__).parents[1]
WINDOWS = {"max_length": 96, "doc_stride": 24, "max_question_length": 24}
SMALL = {
    "features": WINDOWS,
    "max_train_examples": 16,
    "max_validation_examples": 6,
    "tracking": {"report_to": ("none",)},
}


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    return str(tiny.save_reader(tmp_path_factory.mktemp("reader"), "bert"))


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setitem(SMALL, "features", WINDOWS | {"cache_dir": tmp_path / "cache"})


def test_runs_follow_each_other_in_one_process(tmp_path, reader):
    """Also with another precision; of what is trained the next one is made, asked, and scored."""
    first = qa.train(model=reader, output_dir=tmp_path / "first", training={"max_steps": 2}, **SMALL)
    assert first.scores["total"] == 6
    assert first.model == tmp_path / "first" / "model"
    assert len(first.predictions) == 6
    assert first.predictor(device="cpu")(question="Who?", context="Francisco did.")["score"] > 0
    second = qa.evaluate(model=first.model, output_dir=tmp_path / "second", mixed_precision="bf16", **SMALL)
    assert second.model == first.model
    environment = json.loads((tmp_path / "second" / "environment.json").read_text())
    assert environment["mixed_precision"] == "bf16"
    third = qa.evaluate(second.config, output_dir=tmp_path / "third")
    assert third.scores["best_f1"] == first.scores["best_f1"]  # the threshold was fitted meanwhile
    assert "ACCELERATE_MIXED_PRECISION" not in os.environ
    assert qa.RunResult.load(tmp_path / "third") == third


def test_a_result_shows_its_scores(tmp_path, reader):
    result = qa.evaluate(model=reader, output_dir=tmp_path / "<run>", **SMALL)
    page = result._repr_html_()
    assert f"<td>f1</td><td>{result.scores['f1']:.4g}</td>" in page
    assert "&lt;run&gt;" in page


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"training": {"epocs": 3}}, "training.epocs"),
        ({"modle": "x"}, "modle"),
        ({"seed": -1}, "seed"),
        ({"training": 3}, "training"),
    ],
)
def test_a_setting_that_no_run_has_is_named(settings, named):
    with pytest.raises(ConfigError, match=named):
        qa.train(**settings)


def test_presets_and_files_are_bases_that_settings_change(monkeypatch, tmp_path):
    """As on the command line; a part is changed by what a mapping names, or replaced as a whole."""
    seen = []
    monkeypatch.setattr("train_qa.run", seen.append)
    for settings in ({"training": {"epochs": 7.0}}, {"training": TrainingConfig(epochs=7.0)}):
        with pytest.raises(ConfigError, match="cannot read"):  # the run that was not done has left nothing
            qa.train("minilm-squad", output_dir=tmp_path, **settings)
    named, whole = (config.training for config in seen)
    assert (named.epochs, named.learning_rate) == (7.0, 4e-4)
    assert whole == TrainingConfig(epochs=7.0)


def test_what_a_launcher_says_of_accumulation_counts_for_every_run_of_the_process(monkeypatch, tmp_path):
    """As on the command line; a run takes the variable away from accelerate, which would divide by it once more."""
    seen = []

    def run(config):
        seen.append(config.training.accumulation_steps)
        os.environ.pop(ACCUMULATION)

    monkeypatch.setattr("train_qa.run", run)
    monkeypatch.setenv(ACCUMULATION, "4")
    for work in (qa.train, qa.evaluate):
        with pytest.raises(ConfigError, match="cannot read"):  # the run that was not done has left nothing
            work(output_dir=tmp_path)
    assert seen == [4, 4]
    with pytest.raises(ConfigError, match=f"{ACCUMULATION} is '4'; wanted training.accumulation-steps, 1"):
        qa.train(training={"accumulation_steps": 1})


def test_a_result_is_no_licence_to_write_over_it(tmp_path, reader):
    """What had resumed, or had been allowed to, is evaluated in a folder of its own."""
    folder = tmp_path / "run"
    result = qa.train(model=reader, output_dir=folder, resume="auto", training={"max_steps": 1}, **SMALL)
    before = (folder / "config.json").read_bytes()
    with pytest.raises(CheckpointError, match="is not empty"):
        qa.evaluate(result.config, model=result.model)
    assert (folder / "config.json").read_bytes() == before
    again = qa.train(result.config, resume="auto")
    assert again == result


def test_a_model_that_was_evaluated_is_asked_in_the_same_revision(tmp_path, reader, monkeypatch):
    settings = SMALL | {"model": reader, "model_revision": "v1"}
    evaluated = qa.evaluate(output_dir=tmp_path / "evaluated", **settings)
    trained = qa.train(output_dir=tmp_path / "trained", training={"max_steps": 1}, **settings)
    asked, loaded = [], object.__new__(qa.Predictor)

    def load(source, **options):
        asked.append((source, options))
        return loaded

    monkeypatch.setattr("qa.api.Predictor.from_pretrained", load)
    evaluated.predictor(device="cpu")
    evaluated.predictor(revision="v2")
    trained.predictor()
    own = Path(reader)
    assert asked == [
        (own, {"revision": "v1", "device": "cpu"}),
        (own, {"revision": "v2"}),
        (tmp_path / "trained" / "model", {}),
    ]


def test_a_run_in_a_thread_is_a_run(tmp_path, reader):
    """As those of engines and apps are."""
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(lambda: qa.evaluate(model=reader, output_dir=tmp_path / "run", **SMALL)).result()
    assert result.scores["total"] == 6


def test_a_folder_without_results_is_no_result(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="no results"):
        qa.RunResult.load(tmp_path)


def test_settings_are_those_of_a_run():
    assert set(get_type_hints(RunSettings)) == set(get_type_hints(RunConfig))


def test_training_that_is_not_installed_is_said_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    monkeypatch.delitem(sys.modules, "train_qa", raising=False)
    with pytest.raises(MissingPackageError, match=r"pip install 'extractive-qa\[train\]'"):
        qa.train()


NOTEBOOK = """
import sys
from accelerate import notebook_launcher
import qa
config = qa.RunConfig(model=sys.argv[1], output_dir=sys.argv[2])
if __name__ == "__main__":
    settings = {settings}
    from qa.presets import changed_config
    config = changed_config(config, settings)
    notebook_launcher(qa.train, args=(config,), num_processes=2, use_port=sys.argv[3])
    print(qa.RunResult.load(sys.argv[2]).scores["total"])
"""


@pytest.mark.slow
@pytest.mark.processes
def test_a_notebook_trains_in_two_processes(tmp_path, reader):
    settings = {
        "features": WINDOWS | {"cache_dir": str(tmp_path / "cache")},
        "max_train_examples": 16,
        "max_validation_examples": 6,
        "training": {"max_steps": 2},
        "tracking": {"report_to": ["none"]},
    }
    (tmp_path / "notebook.py").write_text(NOTEBOOK.format(settings=settings))
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(tmp_path / "notebook.py"), reader, str(tmp_path / "run"), str(free_port())],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "6"
    assert json.loads((tmp_path / "run" / "environment.json").read_text())["processes"] == 2
