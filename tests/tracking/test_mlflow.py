"""MLflow: what its store holds of a run, of a run that goes on, and of one that ends badly."""

import dataclasses

import pytest

from qa.tracking.reporter import Outcome, Reporter
from qa.tracking.trackers import start_trackers
from qa.training.progress import Progress
from tests.support.tracking import config_for, track

mlflow = pytest.importorskip("mlflow", reason="logs to MLflow: pip install 'extractive-qa[mlflow]'")

from accelerate import Accelerator  # noqa: E402


@pytest.fixture
def client(tmp_path, monkeypatch):
    """A store of files: the other ones take a data base's packages."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    mlflow.set_tracking_uri(None)
    yield mlflow.MlflowClient()
    assert mlflow.active_run() is None


def runs(client):
    experiment = client.get_experiment_by_name("test-project")
    return client.search_runs([experiment.experiment_id])


def started(config, progress=None):
    accelerator = Accelerator(cpu=True, log_with=["mlflow"])
    config.output_dir.mkdir(parents=True, exist_ok=True)
    (reporter,) = start_trackers(accelerator, config, progress or Progress())
    return reporter


def test_every_value_and_setting_is_kept(client, tmp_path):
    track(config_for(tmp_path / "run", "mlflow"))
    (run,) = runs(client)
    assert (run.info.run_name, run.info.status) == ("run", "FINISHED")
    losses = client.get_metric_history(run.info.run_id, "train/loss")
    assert [point.step for point in losses] == [2, 4, 5, 6, 7]
    assert losses[0].value == pytest.approx(4.5)
    assert run.data.params["training/log_every"] == "2"
    assert run.data.metrics["best/f1"] == 62.5
    assert [file.path for file in client.list_artifacts(run.info.run_id, "predictions")] == [
        f"predictions/step-{step:08d}.json" for step in (5, 7)
    ]


def test_a_resumed_run_goes_on_with_the_run_of_its_folder(client, tmp_path):
    for folder, step in (("one", 0), ("other", 0), ("one", 7)):
        config = dataclasses.replace(config_for(tmp_path / folder, "mlflow"), resume="auto" if step else None)
        reporter = started(config, Progress(step=step))
        reporter.log({"loss": 1.0}, step + 1)
        reporter.finish(Outcome())
    assert {run.info.run_name: run.data.metrics["loss"] for run in runs(client)} == {"one": 1.0, "other": 1.0}
    (one,) = [run for run in runs(client) if run.info.run_name == "one"]
    assert [point.step for point in client.get_metric_history(one.info.run_id, "loss")] == [1, 8]


@pytest.mark.parametrize(
    ("outcome", "status"), [(Outcome(1), "FAILED"), (Outcome(143, preempted=True), "KILLED"), (Outcome(), "FINISHED")]
)
def test_how_a_run_ended_is_told(client, tmp_path, outcome, status):
    started(config_for(tmp_path / "run", "mlflow")).finish(outcome)
    assert [run.info.status for run in runs(client)] == [status]


def test_the_model_and_facts_of_its_data_are_kept(client, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    reporter = started(config_for(tmp_path / "run", "mlflow"))
    assert isinstance(reporter, Reporter)
    reporter.model(folder, {"train": {"fingerprint": "abc"}}, {"best/f1": 61.5})
    reporter.finish(Outcome())
    (run,) = runs(client)
    assert [file.path for file in client.list_artifacts(run.info.run_id, "model")] == ["model/model.safetensors"]
    facts = mlflow.artifacts.load_dict(f"{run.info.artifact_uri}/model.json")
    assert facts == {"best/f1": 61.5, "data": {"train": {"fingerprint": "abc"}}}
