"""Every command of the README is run: as written where it needs no hub, else with a stand-in for the hub."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import datasets
import pytest

import train_qa
from qa.config import PRESETS, parse_config
from qa.model import load_reader
from tests import tiny

ROOT = Path(__file__).parent.parent
MAKE = re.compile(r"^(\w[\w-]*):", re.MULTILINE)
LAUNCH = ["accelerate", "launch"]
SHORT = ["--training.max-steps", "1", "--max-train-examples", "8", "--max-validation-examples", "4"]
UNTRACKED = ["--tracking.report-to", "none"]


def commands():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```bash\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [shlex.split(line, comments=True) for block in blocks for line in block.splitlines() if line.strip()]


LAUNCHED = [words for words in commands() if words[:2] == LAUNCH]
NEEDS_HUB = [words for words in LAUNCHED if any(word in PRESETS or "squad" in word for word in words)]
LOCAL = [words for words in LAUNCHED if words not in NEEDS_HUB]


def flags_of(words):
    return words[words.index("train_qa.py") + 1 :]


def test_the_readme_opens_with_the_two_commands():
    assert commands()[:2] == [["make", "demo"], ["make", "test"]]


def test_make_targets_exist():
    targets = set(MAKE.findall((ROOT / "Makefile").read_text()))
    wanted = {words[1] for words in commands() if words[0] == "make"}
    assert wanted
    assert wanted <= targets


def test_configuration_files_exist():
    named = set(re.findall(r"`?(?:accelerate_configs/)?(\w+\.yaml)`", (ROOT / "README.md").read_text()))
    assert named == {path.name for path in (ROOT / "accelerate_configs").glob("*.yaml")}


@pytest.mark.slow
@pytest.mark.processes
def test_commands_that_need_no_hub_run_as_written(tmp_path):
    """In the README's order, since later ones continue earlier ones; in a copy, so that run folders are new."""
    for name in ("train_qa.py", "qa", "accelerate_configs"):
        (tmp_path / name).symlink_to(ROOT / name)
    assert len(LOCAL) >= 5
    for words in LOCAL:
        script = str(Path(sys.executable).parent / words[0])
        done = subprocess.run([script, *words[1:]], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{shlex.join(words)}\n{done.stderr}"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """Stand-ins for what hubs hold: the embedded set for every data set, a tiny reader for every model."""
    reader = str(tiny.save_reader(tmp_path / "reader", "bert"))
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, split, **__: tiny.sample(split))
    monkeypatch.setattr(train_qa, "load_reader", lambda _, **options: load_reader(reader, **options))
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("hub")
def test_commands_that_need_the_hub_run_with_a_stand_in(fresh_accelerator, tmp_path):
    """With the flags that make them short; an earlier run's files are where the command before left them."""
    assert len(NEEDS_HUB) >= 5
    for words in NEEDS_HUB:
        written = flags_of(words)
        evaluates = "--training.max-steps" in written
        train_qa.run(parse_config([*written, *(SHORT[2:] if evaluates else SHORT), *UNTRACKED]))
        fresh_accelerator()
        assert (tmp_path / parse_config(written).output_dir / "metrics.json").exists()
