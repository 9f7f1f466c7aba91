"""The run folder as a run uses it: owned while it is open, and what it is for left at its end."""

import json

import pytest
from accelerate import Accelerator

from qa.config import DecodingConfig, FeaturesConfig, RunConfig, TrainingConfig
from qa.data.examples import Examples
from qa.errors import CheckpointError, StorageError
from qa.modeling.settings import load_settings
from qa.presets import load_config
from qa.run_folder.folder import RunFolder
from tests.support import tiny
from tests.support.trainers import loop_for, reader_of

pytestmark = pytest.mark.usefixtures("fresh_accelerator")
FEATURES = FeaturesConfig(max_length=64, doc_stride=8, max_question_length=16)


@pytest.fixture
def accelerator(fresh_accelerator):
    fresh_accelerator()
    return Accelerator(cpu=True)


def config_of(tmp_path, **changes):
    return RunConfig(output_dir=tmp_path / "run", features=FEATURES, **({"validation_data": None} | changes))


def test_a_folder_is_owned_while_it_is_open(accelerator, tmp_path):
    config = config_of(tmp_path)
    with RunFolder.open(accelerator, config), pytest.raises(CheckpointError, match="in use"):
        RunFolder.open(accelerator, config)
    with RunFolder.open(accelerator, config) as folder:
        assert folder.paths.root.is_dir()


def test_a_folder_of_another_run_is_let_go_again(accelerator, tmp_path):
    config = config_of(tmp_path)
    with RunFolder.open(accelerator, config) as folder:
        (folder.paths.root / "theirs").touch()
    for _ in range(2):  # the second time it would be in use if the first had kept it
        with pytest.raises(CheckpointError, match="is not empty: it holds"):
            RunFolder.open(accelerator, config)
    with RunFolder.open(accelerator, config_of(tmp_path, resume="auto")) as folder:
        assert (folder.paths.root / "theirs").exists()


def test_records_and_history_are_in_the_folder(accelerator, tmp_path):
    config = config_of(tmp_path)
    with RunFolder.open(accelerator, config) as folder:
        folder.write_records(train=Examples(rows=tiny.small(3)), validation=None)
        folder.log_values({"step": 1, "train/loss": 2.5})
    assert load_config(folder.paths.config) == config
    assert json.loads(folder.paths.environment.read_text())["processes"] == 1
    (line,) = map(json.loads, folder.paths.history.read_text().splitlines())
    assert line["train/loss"] == 2.5


@pytest.mark.parametrize(
    ("profile", "is_main", "traces"), [(True, True, True), (False, True, False), (True, False, False)]
)
def test_one_process_traces_where_that_is_asked_for(profile, is_main, traces, accelerator, tmp_path, monkeypatch):
    with RunFolder.open(accelerator, config_of(tmp_path, training=TrainingConfig(profile=profile))) as folder:
        monkeypatch.setattr(type(accelerator), "is_main_process", is_main)
        assert folder.trace == (folder.paths.trace if traces else None)


@pytest.mark.parametrize(("asked", "wanted"), [(None, True), (False, False), (True, True)])
def test_the_last_model_of_a_run_without_evaluations_is_kept_with_what_was_asked(asked, wanted, tmp_path):
    """Some of the examples are impossible, which counts where nothing was asked for."""
    loop = loop_for(tiny.small(6), max_steps=1)
    config = config_of(tmp_path, decoding=DecodingConfig(no_answer=asked))
    with RunFolder.open(loop.accelerator, config) as folder:
        with pytest.raises(StorageError, match="without model"):
            folder.publish(None)
        folder.keep_last(loop, reader_of(tiny.model()))
        folder.publish(None)
    settings = load_settings(folder.paths.model)
    assert (settings.null_possible, settings.no_answer_threshold, settings.max_length) == (wanted, 0.0, 64)
    assert folder.paths.model_card.is_file()


def test_the_last_model_of_a_run_without_evaluations_keeps_the_threshold_that_was_asked_for(tmp_path):
    loop = loop_for(tiny.small(6), max_steps=1)
    config = config_of(tmp_path, decoding=DecodingConfig(no_answer_threshold=1.5))
    with RunFolder.open(loop.accelerator, config) as folder:
        folder.keep_last(loop, reader_of(tiny.model()))
    assert load_settings(folder.paths.model).no_answer_threshold == 1.5


def test_a_run_that_was_to_be_evaluated_has_not_ended_without_predictions(tmp_path):
    loop = loop_for(tiny.small(6), max_steps=1)
    with RunFolder.open(loop.accelerator, config_of(tmp_path, validation_data="sample")) as folder:
        folder.keep_last(loop, reader_of(tiny.model()))
        with pytest.raises(StorageError, match=r"without predictions\.json"):
            folder.publish(None)
