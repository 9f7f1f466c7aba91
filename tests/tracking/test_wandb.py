"""What W&B wrote is what was reported."""

import dataclasses
import json
import logging
from pathlib import Path
from types import SimpleNamespace

import accelerate.tracking
import pytest
import wandb

from qa.config import TrackingConfig
from qa.tracking.reporter import Outcome
from qa.tracking.wandb import WandbTracker, start_wandb
from qa.training.progress import Progress
from tests.support.tracking import EVALUATION, config_for, track
from tests.support.wandb_files import items, offline_runs


def wandb_records(folder):
    (run,) = offline_runs(folder)
    return run.records


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
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
    assert len(rows) == 2
    (missed,) = [row for row in rows if row["id"] == "q1"]
    assert (missed["question"], missed["reference"]) == ("Which number has the word 1?", "7")
    assert (missed["mistake"], missed["score"], missed["null_odds"]) == ("missed", 4.0, 1.0)
    assert "has the number [[[7]]] in the list" in missed["context"]
    assert missed["question word"] == "which"


def best_scores(records):
    summary = {}
    for record in records:
        if record.WhichOneof("record_type") == "summary":
            summary |= items(record.summary.update)
    found = {key: value for key, value in summary.items() if key.startswith("best")}
    return {key.removeprefix("best/"): value for key, value in found.get("best", found).items()}


def test_summary_holds_the_best_scores(offline_run):
    _, records, _ = offline_run
    assert best_scores(records) == EVALUATION.scores


def test_summary_of_a_second_attempt_holds_the_best_scores_of_the_first(tmp_path):
    best = {"exact": 60.0, "f1": 70.0, "best_f1": 80.0}
    track(config_for(tmp_path, "wandb"), Progress(step=5, best_scores=best, best_score=80.0), after=5)
    assert best_scores(wandb_records(tmp_path)) == best


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


class StartedByAccelerate(accelerate.tracking.GeneralTracker):
    """What accelerate starts, with a run that knows no more than its address."""

    name, requires_logging_directory = "wandb", False

    def __init__(self, folder):
        super().__init__(_blank=True)
        self.run = SimpleNamespace(define_metric=lambda *_, **__: None, url="u", dir=str(folder), offline=False)

    @property
    def tracker(self):
        return self.run


def test_online_run_continues_under_its_id(tmp_path, monkeypatch):
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setattr(wandb, "login", lambda **_: True)
    seen = []

    def remembered(name, options):
        seen.append(options | {"tracker": name})
        return StartedByAccelerate(tmp_path)

    start_wandb(remembered, config_for(tmp_path, "wandb"), Progress(tracker_ids=["first"]))
    assert len(seen) == 1
    assert (seen[0]["id"], seen[0]["resume"], seen[0]["mode"]) == ("first", "allow", "online")


def test_runs_of_a_sweep_that_differ_in_the_seed_alone_are_a_group(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep1")
    monkeypatch.delenv("WANDB_RUN_GROUP", raising=False)
    groups = []
    for seed, rate in ((1, 1e-4), (2, 1e-4), (1, 2e-4)):
        folder = tmp_path / f"{seed}-{rate}"
        track(dataclasses.replace(config_for(folder, "wandb", learning_rate=rate), seed=seed))
        (found,) = offline_runs(folder)
        groups.append(found.record.run_group)
    assert groups[0] == groups[1] != groups[2]
    assert all(group.startswith("sweep1-") for group in groups)


class Finished:
    """A run that notes how it ends."""

    def __init__(self):
        self.calls, self.url, self.dir, self.offline = [], "u", ".", False

    def define_metric(self, *_, **__):
        pass

    def mark_preempting(self):
        self.calls.append("preempting")

    def finish(self, exit_code):
        self.calls.append(exit_code)


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (Outcome(), [0]),
        (Outcome(status=1), [1]),
        (Outcome(status=143, preempted=True), ["preempting", 143]),
        (Outcome(status=0, preempted=True), ["preempting", 1]),
    ],
)
def test_wandb_learns_how_a_run_ends(outcome, told, tmp_path):
    started, run = StartedByAccelerate(tmp_path), Finished()
    started.run = run
    WandbTracker(started).finish(outcome)
    assert run.calls == told


@pytest.fixture
def asked(tmp_path):
    """The options that W&B is started with."""
    seen = []

    def start(**tracking):
        def remembered(_, options):
            seen.append(options)
            return StartedByAccelerate(tmp_path)

        config = dataclasses.replace(config_for(tmp_path, "wandb"), tracking=TrackingConfig(**tracking))
        start_wandb(remembered, config, Progress())
        return seen[-1]

    return start


def test_variables_of_wandb_count_where_nothing_was_given(asked, monkeypatch):
    for name in ("WANDB_NAME", "WANDB_RUN_GROUP"):
        monkeypatch.setenv(name, "by the environment")
    monkeypatch.setenv("WANDB_RUN_ID", "mine1234")
    options = asked(report_to=("wandb",))
    assert "name" not in options
    assert "group" not in options
    assert options["id"] == "mine1234"
    assert asked(report_to=("wandb",), run_name="given")["name"] == "given"


def test_variables_of_wandb_that_are_empty_say_nothing(asked, monkeypatch):
    """As files of Kubernetes and of CI set those that nobody filled in."""
    for name in ("WANDB_NAME", "WANDB_RUN_GROUP", "WANDB_RUN_ID", "WANDB_MODE"):
        monkeypatch.setenv(name, "")
    options = asked(report_to=("wandb",))
    assert all(options[name] for name in ("name", "group", "id", "mode"))


@pytest.mark.parametrize(("said", "runs"), [("true", 0), ("1", 0), ("false", 1), ("", 1)])
def test_the_variable_of_transformers_scripts_switches_it_off(said, runs, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_DISABLED", said)
    seen = []
    start_wandb(lambda *given: seen.append(given), config_for(tmp_path, "wandb"), Progress())
    assert len(seen) == runs
