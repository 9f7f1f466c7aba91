"""Every command of the README is run: as written where it needs no hub, else with a stand-in for the hub."""

import dataclasses
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import datasets
import httpx
import pytest

import train_qa
from qa.files import write_json
from qa.modeling.reader import load_reader_for
from qa.modeling.settings import SETTINGS_FILE, settings_of
from qa.presets import parse_config
from qa.run_folder import model_card
from tests.support import tiny
from tests.support.service import is_up, wait_until

ROOT = Path(__file__).parents[2]
MAKE = re.compile(r"^(\w[\w-]*):", re.MULTILINE)
SHORT = ["--training.max-steps", "1", "--max-train-examples", "8", "--max-validation-examples", "4"]
UNTRACKED = ["--tracking.report-to", "none"]


def blocks(language):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


COMMANDS = [line for block in blocks("bash") for line in block.replace("\\\n", "").splitlines() if line.strip()]
TARGETS = [line.split()[1] for line in COMMANDS if line.startswith("make ")]
NEEDS_HUB = [line for line in COMMANDS if "train_qa.py" in line and re.search(r"\b[\w-]*squad[\w-]*\b", line)]
LOCAL = [line for line in COMMANDS if line not in NEEDS_HUB and not re.match(r"make |.*pytest", line)]


def test_the_readme_is_short_and_narrow():
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 300
    assert [line for line in lines if len(line) > 120] == []


def test_the_readme_opens_with_the_two_commands():
    assert TARGETS[:2] == ["demo", "test"]


def test_make_targets_exist():
    assert set(TARGETS) <= set(MAKE.findall((ROOT / "Makefile").read_text()))


def test_configuration_files_exist():
    named = set(re.findall(r"`?(?:accelerate_configs/)?(\w+\.yaml)`", (ROOT / "README.md").read_text()))
    there = {path.name for path in (ROOT / "accelerate_configs").glob("*.yaml")}
    assert there - {"kubernetes.yaml", "skypilot.yaml"} <= named <= there


@pytest.mark.slow
@pytest.mark.processes
def test_commands_that_need_no_hub_run_as_written(tmp_path):
    """In the README's order, since later ones continue earlier ones; in a copy, so that run folders are new.

    What `make demo` leaves is stood in for by a tiny reader.
    """
    for name in ("train_qa.py", "qa", "accelerate_configs", "LICENSE"):
        (tmp_path / name).symlink_to(ROOT / name)
    demo = tiny.save_reader(tmp_path / "runs" / "demo" / "model", "bert")
    settings = settings_of(parse_config([]), null_possible=True, threshold=0.0)
    write_json(demo / SETTINGS_FILE, dataclasses.asdict(settings))
    scripts = Path(sys.executable).parent
    environment = os.environ | {"PATH": f"{scripts}:{os.environ['PATH']}"}
    assert len(LOCAL) >= 10
    for line in LOCAL:
        if " serve " in line:
            serve(line, tmp_path, environment)
            continue
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stderr.decode()}"


def serve(line, folder, environment):
    """Let the service start, ask it, and end it."""
    words = shlex.split(line)
    pipes = {"stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(words, cwd=folder, env=environment | {"PYTHONUNBUFFERED": "1"}, **pipes) as server:
        try:
            url = server.stdout.readline().split()[-1]
            wait_until(lambda: is_up(url))
            asked = {"question": "Who named the river?", "context": "Francisco de Orellana named it."}
            assert httpx.post(f"{url}/answer", json=asked).status_code == 200
        finally:
            server.terminate()


class Hub:
    """In place of the hub's client: notes what is uploaded."""

    def __init__(self):
        self.uploaded = {}

    def create_repo(self, repository, **_):
        self.uploaded[repository] = None

    def upload_folder(self, *, repo_id, folder_path, **_):
        self.uploaded[repo_id] = sorted(path.name for path in folder_path.iterdir())


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """Stand-ins for what hubs hold: the embedded set for every data set, a tiny reader for every model."""
    client = Hub()
    monkeypatch.setattr(model_card, "HfApi", lambda: client)
    reader = str(tiny.save_reader(tmp_path / "reader", "bert"))
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, split, **__: tiny.sample(split))
    monkeypatch.setattr(
        train_qa, "load_reader_for", lambda config: load_reader_for(dataclasses.replace(config, model=reader))
    )
    monkeypatch.chdir(tmp_path)
    return client


def test_commands_that_need_the_hub_run_with_a_stand_in(hub, fresh_accelerator, tmp_path):
    """With the flags that make them short; an earlier run's files are where the command before left them."""
    assert len(NEEDS_HUB) >= 5
    for line in NEEDS_HUB:
        written = shlex.split(line.partition("train_qa.py")[2])
        evaluates = "--training.max-steps" in written
        train_qa.run(parse_config([*written, *(SHORT[2:] if evaluates else SHORT), *UNTRACKED]))
        fresh_accelerator()
        assert (tmp_path / parse_config(written).output_dir / "metrics.json").exists()
    assert set(hub.uploaded) == {"you/distilbert-squad"}
    assert {"README.md", "model.safetensors", SETTINGS_FILE} <= set(hub.uploaded["you/distilbert-squad"])
