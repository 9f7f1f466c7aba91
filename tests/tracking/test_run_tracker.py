"""What was logged is found in what the trackers wrote; a tracker that fails or hangs does not stop the run."""

import logging
import re

import pytest
from accelerate import Accelerator

from qa.config import RunConfig
from qa.features.labels import build_labels
from qa.features.windows import build_features
from qa.runtime.core_wait import CoreWait
from qa.runtime.logs import ONLY_IN_FILE
from qa.tracking.run_tracker import RunTracker
from qa.training.progress import Progress
from tests.support import tiny
from tests.support.tracking import EXAMPLES, config_for, plan, report, track

pytestmark = [
    # tensorboard's and protobuf's own
    pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard"),
    pytest.mark.filterwarnings("ignore:.*tensorboard.*:DeprecationWarning"),
]


def test_one_line_an_interval_where_there_is_no_terminal(tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="qa"):
        track(config_for(tmp_path))
    lines = [record.getMessage() for record in caplog.records]
    steps = [line for line in lines if re.match(r"step \d+/7 ", line)]
    assert [line.split()[1] for line in steps] == ["2/7", "4/7", "5/7", "6/7", "7/7"]
    assert re.match(r"step 2/7 epoch 0\.40 loss 4\.5000 lr 2\.00e-03 8\.0 examples/s", steps[0])
    assert "step 5: exact 50.00, f1 62.50, best_f1 70.00 (best so far)" in lines
    assert "step 7: exact 40.00, f1 50.00, best_f1 60.00" in lines


def test_a_slow_process_is_named_in_the_line(tmp_path, caplog):
    with (
        caplog.at_level(logging.INFO, logger="qa"),
        RunTracker(Accelerator(cpu=True), config_for(tmp_path), plan(4), Progress()) as tracking,
    ):
        for step, own in enumerate(([1.0, 1.0, 3.0], [1.0, 1.0, 1.0], [1.0, 1.1, 1.0], [1.1, 1.0, 1.0]), start=1):
            tracking.step(report(step, own_seconds=own))
    quick, slow = (caplog.messages[at] for at in (1, 0))
    assert "process 2 takes 2.0 times the median" in slow
    assert "times the median" not in quick


@pytest.mark.parametrize(("share", "told"), [(0.5, 1), (0.1, 0), (None, 0)])
def test_threads_without_cores_are_told_in_each_line_and_what_helps_once(share, told, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(CoreWait, "take", lambda _: share)
    history = []
    with (
        caplog.at_level(logging.INFO, logger="qa"),
        RunTracker(
            Accelerator(cpu=True), config_for(tmp_path), plan(4), Progress(), history=history.append
        ) as tracking,
    ):
        for step in range(1, 5):
            tracking.step(report(step))
    assert [line.get("train/core_wait_share") for line in history] == [share] * len(history)
    assert caplog.text.count("50% waiting for a core") == told * len(history)
    assert caplog.text.count("OMP_WAIT_POLICY=passive") == told


def test_bar_at_a_terminal_replaces_the_lines(tmp_path, caplog, monkeypatch, capsys):
    import sys

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with caplog.at_level(logging.INFO, logger="qa"):
        track(config_for(tmp_path))
    lines = [record for record in caplog.records if re.match(r"step \d+/7 ", record.getMessage())]
    assert {record.name for record in lines} == {ONLY_IN_FILE}
    shown = capsys.readouterr().err
    assert "7/7" in shown
    assert "loss=" in shown
    assert "examples/s=" in shown


def test_steps_of_an_early_stop_and_of_an_error_are_logged(tmp_path, caplog):
    config = config_for(tmp_path, log_every=100)

    def fails():
        with RunTracker(Accelerator(cpu=True), config, plan(50), Progress()) as tracking:
            for step in (1, 2, 3):
                tracking.step(report(step))
            raise RuntimeError("stopped")

    with caplog.at_level(logging.INFO, logger="qa"), pytest.raises(RuntimeError, match="stopped"):
        fails()
    assert [record.getMessage()[:9] for record in caplog.records] == ["step 3/50"]


def test_features_and_their_labels_are_described(tmp_path, caplog):
    features = build_features(EXAMPLES.rows, tiny.tokenizer(), RunConfig().features)
    with caplog.at_level(logging.INFO, logger="qa"):
        tracking = RunTracker(Accelerator(cpu=True), config_for(tmp_path), plan(7), Progress())
        tracking.training_data(features, build_labels(EXAMPLES.rows, features), EXAMPLES)
        tracking.finish()
    assert "training on 3 examples, 3 features" in caplog.text
    assert "2 labels: 100.00 % translate back" in caplog.text
