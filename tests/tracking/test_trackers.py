"""Each tracker starts, and what it wrote is what was reported."""

import pytest
import wandb

from tests.support.tracking import config_for, track


def test_tensorboard_files_hold_every_logged_value(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    track(config_for(tmp_path, "tensorboard"))
    (folder,) = {path.parent for path in tmp_path.glob("test-project/events.*")}
    events = EventAccumulator(str(folder))
    events.Reload()
    loss = {event.step: event.value for event in events.Scalars("train/loss")}
    assert list(loss) == [2, 4, 5, 6, 7]
    assert loss[2] == pytest.approx(4.5)
    assert {event.step: event.value for event in events.Scalars("eval/f1")} == {5: 62.5, 7: 50.0}


def test_trackio_data_base_holds_every_logged_value(tmp_path, monkeypatch):
    trackio = pytest.importorskip("trackio")
    from trackio import sqlite_storage

    for module in (trackio, sqlite_storage, trackio.utils):
        if hasattr(module, "TRACKIO_DIR"):
            monkeypatch.setattr(module, "TRACKIO_DIR", tmp_path / "trackio")
    (tmp_path / "trackio").mkdir()
    track(config_for(tmp_path / "run", "trackio"))
    rows = sqlite_storage.SQLiteStorage.get_logs("test-project", "run")
    loss = {row["step"]: row["train/loss"] for row in rows if "train/loss" in row}
    assert list(loss) == [2, 4, 5, 6, 7]


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
