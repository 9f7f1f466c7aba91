"""Models named as W&B's artifacts. The service is a stand-in: what it would send lies in a folder."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import wandb

from qa.errors import ModelError
from qa.inference.predictor import Predictor
from qa.modeling.artifacts import fetch_artifact, is_artifact
from tests.support import tiny


@pytest.fixture
def service(tmp_path, monkeypatch):
    """W&B with one model; `asked` and `downloads` tell what was wanted of it."""
    kept = tiny.save_reader(tmp_path / "kept")
    told = SimpleNamespace(asked=[], downloads=0, kept=kept)

    def download(root):
        told.downloads += 1
        shutil.copytree(kept, root, dirs_exist_ok=True)

    class Api:
        def artifact(self, name):
            told.asked.append(name)
            if "none" in name:
                raise ValueError("no such artifact")
            return SimpleNamespace(digest="abc", download=download)

    monkeypatch.setattr(wandb, "Api", Api)
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "cache"))
    return told


def test_a_model_is_loaded_by_its_name_and_downloaded_once(service):
    for name in ("wandb:me/qa/reader:best", "wandb:me/qa/reader:best", "wandb:reader"):
        found = Predictor.from_pretrained(name, device="cpu")
        plain = Predictor.from_pretrained(service.kept, device="cpu")
        call = {"question": "Who?", "context": "Ragna Lund built it."}
        assert found(**call) == plain(**call)
    assert service.downloads == 1
    assert set(service.asked) == {"me/qa/reader:best", "reader:latest"}


@pytest.mark.usefixtures("service")
def test_what_is_no_name_or_not_there_is_one_line():
    for name in ("wandb:", "wandb:a/b/c/d:v1", "wandb:a b"):
        with pytest.raises(ModelError, match="wanted wandb:ENTITY/PROJECT/NAME:ALIAS"):
            fetch_artifact(name)
    with pytest.raises(ModelError, match="W&B does not give model 'wandb:none': no such artifact"):
        fetch_artifact("wandb:none")
    assert not is_artifact("some/model")


@pytest.mark.usefixtures("service")
def test_a_download_that_breaks_leaves_nothing(monkeypatch, tmp_path):
    def download(root):
        Path(root, "config.json").touch()
        raise ConnectionError("gone")

    artifact = SimpleNamespace(digest="other", download=download)
    monkeypatch.setattr(wandb, "Api", lambda: SimpleNamespace(artifact=lambda _: artifact))
    with pytest.raises(ModelError, match="gone"):
        fetch_artifact("wandb:reader")
    assert not (tmp_path / "cache" / "models" / "other").exists()
