"""Each tracker starts, and what it wrote is what was reported."""

import pytest
import trackio
import wandb
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from trackio import sqlite_storage

from qa.training.progress import Progress
from tests.support.tracking import config_for, track


def tensorboard_points(folder, name):
    """Step and value of each point that TensorBoard shows."""
    (run,) = {path.parent for path in folder.glob("test-project/events.*")}
    events = EventAccumulator(str(run))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(name)]


def test_tensorboard_files_hold_every_logged_value(tmp_path):
    track(config_for(tmp_path, "tensorboard"))
    loss = tensorboard_points(tmp_path, "train/loss")
    assert [step for step, _ in loss] == [2, 4, 5, 6, 7]
    assert loss[0][1] == pytest.approx(4.5)
    assert tensorboard_points(tmp_path, "eval/f1") == [(5, 62.5), (7, 50.0)]


def test_a_resumed_run_doubles_no_point_in_tensorboard(tmp_path, fresh_accelerator):
    """The first attempt logged all, and its newest checkpoint is of step 4."""
    track(config_for(tmp_path, "tensorboard"))
    fresh_accelerator()
    track(config_for(tmp_path, "tensorboard"), Progress(step=4), after=4)
    assert [step for step, _ in tensorboard_points(tmp_path, "train/loss")] == [2, 4, 5, 6, 7]
    assert [step for step, _ in tensorboard_points(tmp_path, "eval/f1")] == [5, 7]


@pytest.fixture
def trackio_points(tmp_path, monkeypatch):
    """Return a function from a value's name to the steps of its points, in a data base of the test's own."""
    for module in (trackio, sqlite_storage, trackio.utils):
        if hasattr(module, "TRACKIO_DIR"):
            monkeypatch.setattr(module, "TRACKIO_DIR", tmp_path / "trackio")
    (tmp_path / "trackio").mkdir()

    def points(name):
        rows = sqlite_storage.SQLiteStorage.get_logs("test-project", "run")
        return [row["step"] for row in rows if name in row]

    return points


def test_trackio_data_base_holds_every_logged_value(tmp_path, trackio_points):
    track(config_for(tmp_path / "run", "trackio"))
    assert trackio_points("train/loss") == [2, 4, 5, 6, 7]


def test_a_resumed_run_doubles_no_point_in_trackio(tmp_path, trackio_points, fresh_accelerator):
    track(config_for(tmp_path / "run", "trackio"))
    fresh_accelerator()
    track(config_for(tmp_path / "run", "trackio"), Progress(step=4), after=4)
    assert trackio_points("train/loss") == [2, 4, 5, 6, 7]
    assert trackio_points("eval/f1") == [5, 7]


def test_several_trackers_record_the_same_run(tmp_path):
    track(config_for(tmp_path, "wandb", "tensorboard"))
    assert list(tmp_path.glob("wandb/offline-run-*/*.wandb"))
    assert list(tmp_path.glob("test-project/events.*"))


def test_none_records_nothing(tmp_path):
    track(config_for(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_tracker_that_does_not_start_is_left_out(tmp_path, monkeypatch, caplog):
    def broken(*_, **__):
        raise OSError("no such service")

    monkeypatch.setattr(wandb, "init", broken)
    track(config_for(tmp_path, "wandb", "tensorboard"))
    assert "tracker wandb does not start: no such service" in caplog.text
    assert list(tmp_path.glob("test-project/events.*"))
