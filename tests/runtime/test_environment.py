"""What a run ran with."""

import json

import pytest
import torch
from accelerate import Accelerator

from qa.runtime.environment import describe_environment, git_commit

pytestmark = pytest.mark.usefixtures("fresh_accelerator")


def test_environment_says_versions_hardware_and_commit():
    environment = describe_environment(Accelerator(cpu=True))
    assert json.loads(json.dumps(environment)) == environment
    assert set(environment["versions"]) >= {"python", "torch", "transformers", "accelerate", "datasets", "wandb"}
    assert environment["versions"]["torch"] == torch.__version__
    assert environment["processes"] == 1
    assert environment["device"] == "cpu"
    assert environment["mixed_precision"] == "no"
    assert environment["command"]
    assert environment["git_commit"] is None or len(environment["git_commit"]) == 40


def test_installed_package_has_no_commit(tmp_path):
    """Not that of a checkout which its environment happens to lie in."""
    import subprocess

    site = tmp_path / "project" / ".venv" / "qa"
    site.mkdir(parents=True)
    (site / "runtime.py").write_text("")
    git = ["git", "-C", str(tmp_path / "project"), "-c", "user.name=a", "-c", "user.email=a@b.example"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "theirs"], check=True)
    assert git_commit(site / "runtime.py") is None
    subprocess.run([*git, "add", "-f", ".venv/qa/runtime.py"], check=True)
    assert len(git_commit(site / "runtime.py")) == 40
