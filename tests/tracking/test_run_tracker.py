"""What was logged is found in what the trackers wrote; a tracker that fails or hangs does not stop the run."""

import dataclasses
import json
import logging
import re
import struct
import threading
import time
from pathlib import Path

import accelerate.tracking
import numpy as np
import pytest
import wandb
from accelerate import Accelerator
from wandb.proto import wandb_internal_pb2

from qa import trackers
from qa.answers import Predictions
from qa.config import RunConfig, TrackingConfig, TrainingConfig
from qa.data import Examples
from qa.evaluation import Evaluation
from qa.features import build_features
from qa.tracking import Tracking, interval_values, prediction_table, write_evaluation
from qa.training import Progress, StepReport
from tests.support import tiny

pytestmark = [
    # tensorboard's and protobuf's own
    pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard"),
    pytest.mark.filterwarnings("ignore:.*tensorboard.*:DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def clean_accelerate(monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    yield
    wandb.teardown()


def config_for(folder, *names, **training):
    return RunConfig(
        output_dir=folder,
        training=TrainingConfig(**({"log_every": 2} | training)),
        tracking=TrackingConfig(report_to=names or ("none",), project="test-project", table_rows=2),
    )


def report(step, **changes):
    values = {
        "step": step,
        "epoch": step / 5,
        "ends_epoch": step % 5 == 0,
        "loss": 6.0 / step,
        "learning_rate": 1e-3 * step,
        "gradient_norm": 2.0 * step,
        "features": 4,
        "tokens": 300,
        "padded_tokens": 400,
        "overflows": 0,
        "seconds": 0.5,
    }
    return StepReport(**(values | changes))


EXAMPLES = Examples(rows=tiny.small(3))
PREDICTIONS = Predictions(
    ids=["q0", "q1", "q2"],
    bounds=np.array([0, 2, 3, 3]),
    text=["0", "The word", "7"],
    start=np.array([26, 0, 26]),
    end=np.array([27, 8, 27]),
    start_logit=np.array([3.0, 1.0, 2.0], dtype=np.float32),
    end_logit=np.array([2.5, 1.0, 2.0], dtype=np.float32),
    probability=np.array([0.5, 0.25, 0.75]),
    null_logits=np.array([[0.0, 0.5], [3.0, 2.0], [0.0, 0.0]], dtype=np.float32),
    null_probability=np.array([0.25, 0.25, 1.0]),
    null_possible=True,
)
EVALUATION = Evaluation(
    predictions=PREDICTIONS,
    scores={"exact": 50.0, "f1": 62.5, "best_f1": 70.0},
    threshold=0.0,
    fitted_threshold=0.5,
    seconds=1.0,
)


def track(config, progress=None):
    """A short run: five steps of an epoch, an evaluation in the middle and two further steps."""
    accelerator = Accelerator(cpu=True, log_with=list(config.tracking.trackers) or None, project_dir=config.output_dir)
    config.output_dir.mkdir(parents=True, exist_ok=True)
    progress = progress or Progress()
    tracking = Tracking(accelerator, config, progress, total_steps=7)
    for step in range(1, 8):
        tracking.step(report(step))
        if step == 5:
            tracking.evaluation(EVALUATION, EXAMPLES, step=step, best=True)
    worse = dataclasses.replace(EVALUATION, scores={"exact": 40.0, "f1": 50.0, "best_f1": 60.0})
    tracking.evaluation(worse, EXAMPLES, step=7, best=False)
    tracking.finish()
    return progress


# --- W&B ---


def wandb_records(folder):
    """Read the records of the only offline run in `folder`, once W&B's process has written the last one."""
    (path,) = Path(folder).glob("wandb/offline-run-*/*.wandb")
    for _ in range(100):
        records = list(parsed_records(path.read_bytes()))
        if records and records[-1].WhichOneof("record_type") == "exit":
            return records
        time.sleep(0.1)
    raise AssertionError(f"{path} does not end")


def parsed_records(content):
    """Parse a LevelDB log of protobuf messages; its blocks have 32 KiB."""
    assert content[:4] in {b":W&B", b""}
    at, message = 7, b""
    while at + 7 <= len(content):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        _, size, kind = struct.unpack("<IHB", content[at : at + 7])
        message += content[at + 7 : at + 7 + size]
        at += 7 + size
        if at > len(content):
            return  # still being written
        if kind in {1, 4}:  # whole, or the last part
            record = wandb_internal_pb2.Record()
            record.ParseFromString(message)
            message = b""
            yield record


def items(message):
    return {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in message}


@pytest.fixture(scope="module")
def offline_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wandb") / "my-run"
    messages = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    package = logging.getLogger("qa")
    level = package.level
    package.addHandler(handler)
    package.setLevel(logging.INFO)
    track(config_for(folder, "wandb"))
    package.removeHandler(handler)
    package.setLevel(level)
    return folder, wandb_records(folder), messages


def test_offline_run_holds_every_logged_value(offline_run):
    _, records, _ = offline_run
    rows = [items(record.history.item) for record in records if record.WhichOneof("record_type") == "history"]
    steps = [row for row in rows if "train/loss" in row]
    assert [row["step"] for row in steps] == [2, 4, 5, 6, 7]  # every second, the end of the epoch, the end of the run
    first = steps[0]
    assert first["train/loss"] == pytest.approx((6.0 + 3.0) / 2)
    assert first["train/learning_rate"] == pytest.approx(2e-3)
    assert first["train/gradient_norm"] == pytest.approx(3.0)
    assert first["train/examples_per_second"] == pytest.approx(8.0)
    assert first["train/tokens_per_second"] == pytest.approx(600.0)
    assert first["train/padding_share"] == pytest.approx(0.25)
    assert first["train/epoch"] == pytest.approx(0.4)
    scores = [row for row in rows if "eval/f1" in row]
    assert [(row["step"], row["eval/f1"], row["eval/best_f1"]) for row in scores] == [(5, 62.5, 70.0), (7, 50.0, 60.0)]


def test_offline_run_holds_the_table_of_predictions(offline_run):
    folder, records, _ = offline_run
    rows = [items(record.history.item) for record in records if record.WhichOneof("record_type") == "history"]
    tables = [row for row in rows if any(key.startswith("predictions") for key in row)]
    assert [row["step"] for row in tables] == [5, 7]
    (first, *_) = sorted(folder.glob("wandb/offline-run-*/files/media/table/predictions_*"))
    table = json.loads(first.read_text())
    assert table["columns"] == ["id", "question", "prediction", "reference", "score", "probability", "null_odds"]
    assert table["data"] == [
        ["q0", "Which number has the word 0?", "0", "0", 5.5, 0.5, -5.0],
        ["q1", "Which number has the word 1?", "", "7", 4.0, 0.75, 1.0],
    ]


def test_summary_holds_the_best_scores(offline_run):
    _, records, _ = offline_run
    summary = {}
    for record in records:
        if record.WhichOneof("record_type") == "summary":
            summary |= items(record.summary.update)
    found = {key: value for key, value in summary.items() if key.startswith("best")}
    found = found.get("best", found)
    assert {key.removeprefix("best/"): value for key, value in found.items()} == EVALUATION.scores


def test_offline_run_holds_configuration_environment_and_axis(offline_run):
    _, records, _ = offline_run
    config, metrics, runs = {}, [], []
    for record in records:
        kind = record.WhichOneof("record_type")
        if kind == "run":
            runs.append(record.run)
            config |= items(record.run.config.update)
        elif kind == "config":
            config |= items(record.config.update)
        elif kind == "metric":
            metrics.append(record.metric)
    assert config["training/log_every"] == 2
    assert config["model"] == "minilm"
    assert config["environment/versions/torch"]
    assert config["environment/processes"] == 1
    assert any(metric.glob_name == "*" and metric.step_metric == "step" for metric in metrics)
    assert (runs[0].project, runs[0].display_name) == ("test-project", "my-run")


def test_command_that_uploads_an_offline_run_is_said(offline_run):
    folder, _, messages = offline_run
    (line,) = [message for message in messages if "wandb sync" in message]
    path = Path(line.split("wandb sync ")[1])
    assert list(path.glob("*.wandb"))
    assert path.parent == folder / "wandb"


def test_wandb_writes_nothing_to_the_terminal(tmp_path, capfd):
    track(config_for(tmp_path, "wandb"))
    assert capfd.readouterr() == ("", "")


def test_resumed_offline_run_is_a_new_one_in_the_same_group(tmp_path):
    groups, progress = [], Progress()
    for attempt in ("first", "second"):
        config = dataclasses.replace(
            config_for(tmp_path / attempt, "wandb"),
            tracking=TrackingConfig(report_to=("wandb",), run_name="reader"),
        )
        progress = track(config, Progress(step=progress.step, tracker_ids=list(progress.tracker_ids)))
        run = next(r.run for r in wandb_records(tmp_path / attempt) if r.WhichOneof("record_type") == "run")
        groups.append(run.run_group)
        assert run.run_id == progress.tracker_ids[-1]
    assert len(set(progress.tracker_ids)) == 2
    assert groups == [f"reader-{progress.tracker_ids[0]}"] * 2


def test_disabled_wandb_stays_disabled(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    track(config_for(tmp_path, "wandb"))
    assert not list(tmp_path.glob("wandb/offline-run-*"))


def test_service_that_cannot_be_reached_gives_an_offline_run(tmp_path, monkeypatch, caplog):
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setattr(wandb, "login", lambda **_: True)
    init, modes = wandb.init, []

    def unreachable(**options):
        modes.append(options["mode"])
        if options["mode"] == "online":
            raise wandb.errors.CommError("timed out")
        return init(**options)

    monkeypatch.setattr(wandb, "init", unreachable)
    progress = track(config_for(tmp_path, "wandb"))
    assert modes == ["online", "offline"]
    assert "tracker wandb does not start: timed out" in caplog.text
    assert any(record.WhichOneof("record_type") == "history" for record in wandb_records(tmp_path))
    assert len(progress.tracker_ids) == 2


def test_online_run_continues_under_its_id(tmp_path, monkeypatch):
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setattr(wandb, "login", lambda **_: True)
    seen = []

    def remembered(name, options):
        seen.append(options | {"tracker": name})
        return RecordingTracker()

    trackers._start_wandb(remembered, config_for(tmp_path, "wandb"), Progress(tracker_ids=["first"]))
    assert len(seen) == 1
    assert (seen[0]["id"], seen[0]["resume"], seen[0]["mode"]) == ("first", "allow", "online")


# --- other trackers ---


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


# --- trackers that fail ---


class RecordingTracker(accelerate.tracking.GeneralTracker):
    name = "recording"
    requires_logging_directory = False

    def __init__(self, behaviour=lambda: None):
        super().__init__(_blank=True)
        self.behaviour, self.rows, self.finished = behaviour, [], False

    @property
    def tracker(self):
        return self

    def define_metric(self, *_, **__):
        pass

    def log(self, values, step=None):
        self.behaviour()
        self.rows.append((step, values))

    def finish(self):
        self.finished = True


def test_values_arrive_in_order_and_the_tracker_is_closed():
    tracker = RecordingTracker(lambda: time.sleep(0.001))
    reporter = trackers.Reporter(tracker)
    for step in range(50):
        reporter.log({"loss": float(step)}, step)
    reporter.finish()
    assert tracker.rows == [(step, {"loss": float(step)}) for step in range(50)]
    assert tracker.finished


def test_tracker_that_fails_is_reported_once_and_does_not_stop_training(caplog):
    broken = {"now": True}

    def behaviour():
        if broken["now"]:
            raise ConnectionError("the service is down")

    tracker = RecordingTracker(behaviour)
    reporter = trackers.Reporter(tracker)
    for step in range(5):
        reporter.log({}, step)
    reporter.submit(lambda: broken.update(now=False))
    reporter.log({}, 5)
    reporter.finish()
    assert caplog.text.count("tracker recording failed: the service is down") == 1
    assert len(caplog.records) == 1
    assert [step for step, _ in tracker.rows] == [5]  # what the service takes again, it gets
    assert tracker.finished


def test_tracker_that_hangs_does_not_stop_training(monkeypatch, caplog):
    monkeypatch.setattr(trackers, "_MOST_WAITING", 10)
    monkeypatch.setattr(trackers, "_FINISH_SECONDS", 0.2)
    release = threading.Event()
    reporter = trackers.Reporter(RecordingTracker(release.wait))
    began = time.perf_counter()
    for step in range(100):
        reporter.log({}, step)
    assert time.perf_counter() - began < 1
    reporter.finish()
    assert time.perf_counter() - began < 5
    assert len(caplog.records) == 1
    assert "tracker recording does not answer" in caplog.text
    release.set()


def test_tracker_that_does_not_start_is_left_out(tmp_path, monkeypatch, caplog):
    def broken(*_, **__):
        raise OSError("no such service")

    monkeypatch.setattr(wandb, "init", broken)
    track(config_for(tmp_path, "wandb", "tensorboard"))
    assert "tracker wandb does not start: no such service" in caplog.text
    assert list(tmp_path.glob("test-project/events.*"))


# --- lines and the bar ---


def test_one_line_an_interval_where_there_is_no_terminal(tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="qa"):
        track(config_for(tmp_path))
    lines = [record.getMessage() for record in caplog.records]
    steps = [line for line in lines if re.match(r"step \d+/7 ", line)]
    assert [line.split()[1] for line in steps] == ["2/7", "4/7", "5/7", "6/7", "7/7"]
    assert re.match(r"step 2/7 epoch 0\.40 loss 4\.5000 lr 2\.00e-03 8\.0 examples/s", steps[0])
    assert "step 5: exact 50.00, f1 62.50, best_f1 70.00 (best so far)" in lines
    assert "step 7: exact 40.00, f1 50.00, best_f1 60.00" in lines


def test_bar_at_a_terminal_replaces_the_lines(tmp_path, caplog, monkeypatch, capsys):
    import sys

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with caplog.at_level(logging.INFO, logger="qa"):
        track(config_for(tmp_path))
    assert not [record for record in caplog.records if re.match(r"step \d+/7 ", record.getMessage())]
    shown = capsys.readouterr().err
    assert "7/7" in shown
    assert "loss=" in shown
    assert "examples/s=" in shown


def test_steps_of_an_early_stop_and_of_an_error_are_logged(tmp_path, caplog):
    config = config_for(tmp_path, log_every=100)

    def fails():
        with Tracking(Accelerator(cpu=True), config, Progress(), total_steps=50) as tracking:
            for step in (1, 2, 3):
                tracking.step(report(step))
            raise RuntimeError("stopped")

    with caplog.at_level(logging.INFO, logger="qa"), pytest.raises(RuntimeError, match="stopped"):
        fails()
    assert [record.getMessage()[:9] for record in caplog.records] == ["step 3/50"]


def test_features_and_their_labels_are_described(tmp_path, caplog):
    features = build_features(EXAMPLES.rows, tiny.tokenizer(), RunConfig().features)
    with caplog.at_level(logging.INFO, logger="qa"):
        tracking = Tracking(Accelerator(cpu=True), config_for(tmp_path), Progress(), total_steps=7)
        tracking.features(features, EXAMPLES)
        tracking.finish()
    assert "training on 3 examples, 3 features" in caplog.text
    assert "2 labels: 100.00 % translate back" in caplog.text


def test_interval_is_summarised_by_features_and_seconds():
    values = interval_values(
        [report(1, features=1, loss=4.0, seconds=1.0), report(2, features=3, loss=8.0, seconds=3.0, overflows=2)]
    )
    assert values["loss"] == 7.0
    assert values["examples_per_second"] == 1.0
    assert values["tokens_per_second"] == 150.0
    assert values["padding_share"] == 0.25
    assert values["learning_rate"] == 2e-3
    assert values["overflows"] == 2


# --- result files ---


def test_result_files_hold_what_the_evaluation_found(tmp_path):
    write_evaluation(tmp_path, EVALUATION)
    read = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in tmp_path.iterdir()}
    assert set(read) == {"metrics.json", "predictions.json", "nbest_predictions.json", "null_odds.json"}
    assert read["metrics.json"] == EVALUATION.scores
    assert read["predictions.json"] == {"q0": "0", "q1": "", "q2": ""}
    assert read["null_odds.json"] == {"q0": -5.0, "q1": 1.0, "q2": float(PREDICTIONS.null_odds[2])}
    assert [answer["text"] for answer in read["nbest_predictions.json"]["q0"]] == ["0", "The word", ""]
    assert read["nbest_predictions.json"]["q2"][0]["start"] is None


def test_without_references_there_is_no_metrics_file(tmp_path):
    write_evaluation(tmp_path, dataclasses.replace(EVALUATION, scores=None))
    assert not (tmp_path / "metrics.json").exists()
    assert (tmp_path / "predictions.json").exists()


def test_table_without_references_or_spans():
    rows = Examples(rows=tiny.without_references(EXAMPLES.rows))
    table = prediction_table(EVALUATION, rows, 10)
    assert [row[3] for row in table] == ["", "", ""]
    assert table[2][4:6] == [None, None]
    assert prediction_table(dataclasses.replace(EVALUATION, predictions=None), rows, 10) == []
