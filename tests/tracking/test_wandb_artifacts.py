"""A model as an artifact: what W&B's client writes offline."""

import json
import logging

import wandb

from qa.tracking.wandb_artifacts import log_model
from tests.support.wandb_files import offline_runs

DATA = {
    "train": {"source": "own.json", "split": "train", "examples": 128, "fingerprint": "ab" * 32},
    "validation": {"source": "dev.json", "split": "validation", "examples": 9, "fingerprint": "cd" * 32},
}


def sent(tmp_path, monkeypatch, **options):
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "staging"))
    folder = tmp_path / "model"
    folder.mkdir(exist_ok=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "reader.json").write_text("{}")
    settings = wandb.Settings(silent=True, console="off")
    with wandb.init(project="p", name="my run/1", mode="offline", dir=str(tmp_path), settings=settings) as run:
        log_model(run, folder, data=DATA, facts={"f1": 61.5}, **options)
    (found,) = offline_runs(tmp_path)
    return {artifact.name: artifact for artifact in found.artifacts if artifact.aliases or artifact.type == "dataset"}


def test_the_model_is_an_artifact_whose_facts_lead_to_its_data(tmp_path, monkeypatch):
    artifacts = sent(tmp_path, monkeypatch)
    model = artifacts["my-run-1"]
    assert model.type == "model"
    assert {content.path for content in model.manifest.contents} == {"model.safetensors", "reader.json"}
    assert json.loads(model.metadata) == {"f1": 61.5, "data": DATA}
    for split, facts in DATA.items():
        data = artifacts[f"{split}-{facts['fingerprint'][:12]}"]
        assert data.type == "dataset"
        assert json.loads(data.metadata) == facts
        assert [content.path for content in data.manifest.contents] == ["data.json"]


def test_the_best_model_of_a_run_has_both_aliases(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "staging"))
    sent(tmp_path, monkeypatch)
    (found,) = offline_runs(tmp_path)
    assert {"best", "latest"} in [set(artifact.aliases) for artifact in found.artifacts if artifact.type == "model"]


def test_the_same_data_has_the_same_artifact(tmp_path, monkeypatch):
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
    first, second = (sent(folder, monkeypatch) for folder in (one, other))
    name = "train-" + "ab" * 6
    assert first[name].digest == second[name].digest


def test_a_registry_offline_is_said_to_wait(tmp_path, monkeypatch, caplog):
    with caplog.at_level(logging.WARNING):
        sent(tmp_path, monkeypatch, registry="wandb-registry-model/readers")
    assert "link my-run-1" in caplog.text
    assert "wandb-registry-model/readers" in caplog.text
