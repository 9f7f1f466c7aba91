"""A model made of a checkpoint is the model of that step."""

import json

import pytest

from qa.config import FeaturesConfig, RunConfig
from qa.data.examples import Examples
from qa.errors import CheckpointError, StorageError
from qa.modeling.reader import load_reader
from qa.modeling.settings import settings_of
from qa.run_folder.checkpoints import Checkpoints
from qa.run_folder.export import export_checkpoint
from qa.run_folder.identity import Identity
from qa.run_folder.paths import RunPaths
from qa.run_folder.records import save_config
from tests.support import tiny
from tests.support.checkpoints import ROWS, averaged_run
from tests.support.trainers import assert_same_weights, loop_for


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder, and weights and averages by step."""
    folder = tmp_path_factory.mktemp("run")
    return folder, averaged_run(folder)


def loaded(folder):
    return load_reader(str(folder), max_length=64)


@pytest.mark.parametrize(("kind", "at"), [("trained", 0), ("averaged", 1), ("auto", 1)])
@pytest.mark.parametrize("step", [1, 3])
def test_the_model_is_the_checkpoint_s(step, kind, at, run, tmp_path):
    folder, found = run
    export_checkpoint(RunPaths(folder).checkpoint(step), tmp_path / "model", weights=kind)
    reader = loaded(tmp_path / "model")
    assert_same_weights(dict(reader.model.state_dict()), found[step][at], rtol=0, atol=0)
    assert reader.settings.n_best == 7
    assert reader.tokenizer("Where?")["input_ids"] == tiny.tokenizer()("Where?")["input_ids"]


def test_a_folder_that_is_there_is_replaced_only_when_asked(run, tmp_path):
    checkpoint = RunPaths(run[0]).checkpoint(1)
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(StorageError, match="is there already; wanted a new folder, or --overwrite"):
        export_checkpoint(checkpoint, tmp_path)
    export_checkpoint(checkpoint, tmp_path / "new")
    export_checkpoint(checkpoint, tmp_path / "new", overwrite=True)


def test_weights_that_were_not_averaged_are_named(tmp_path):
    loop = loop_for(ROWS, max_steps=1)
    list(loop.steps())
    config = RunConfig(model=str(tiny.save_reader(tmp_path / "reader")), features=FeaturesConfig(max_length=64))
    identity = Identity.of(config, loop, train=Examples(rows=ROWS), validation=None)
    settings = settings_of(config, null_possible=True, threshold=0.0)
    Checkpoints(RunPaths(tmp_path), loop, identity, settings).save()
    save_config(config, RunPaths(tmp_path).config)
    checkpoint = RunPaths(tmp_path).checkpoint(1)
    with pytest.raises(CheckpointError, match="has no averaged weights"):
        export_checkpoint(checkpoint, tmp_path / "made", weights="averaged")
    export_checkpoint(checkpoint, tmp_path / "made")
    tiny.save_reader(tmp_path / "reader", num_hidden_layers=1)
    with pytest.raises(CheckpointError, match="does not fit the model"):
        export_checkpoint(checkpoint, tmp_path / "other")


def test_what_is_no_checkpoint_is_refused(tmp_path):
    with pytest.raises(StorageError, match=r"manifest\.json"):
        export_checkpoint(tmp_path / "checkpoints" / "step-00000001", tmp_path / "model")


def test_the_state_says_how_the_model_is_used(run):
    state = json.loads((RunPaths(run[0]).checkpoint(1) / "state.json").read_text())
    assert state["reader"]["max_length"] == 64
