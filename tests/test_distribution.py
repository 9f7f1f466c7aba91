"""What is packed: a wheel that works without the checkout, under a name and version that agree everywhere."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

import qa
from qa.cli.main import main

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PACKED = ("train_qa.py", "qa", "accelerate_configs", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built offline from a copy of what it is made of."""
    folder = tmp_path_factory.mktemp("wheel")
    (folder / "source").mkdir()
    listed = subprocess.run(["git", "ls-files", *PACKED], cwd=ROOT, capture_output=True, text=True, check=True)
    subprocess.run(
        ["tar", "--create", "--file", str(folder / "source.tar"), *listed.stdout.splitlines()], cwd=ROOT, check=True
    )
    subprocess.run(["tar", "--extract", "--file", str(folder / "source.tar")], cwd=folder / "source", check=True)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--wheel-dir", str(folder), "."], cwd=folder / "source", check=True, capture_output=True)
    (found,) = folder.glob("*.whl")
    return found


@pytest.mark.slow
def test_the_wheel_holds_all_that_is_used_and_no_test(wheel):
    assert wheel.name == f"extractive_qa-{qa.__version__}-py3-none-any.whl"
    names = set(zipfile.ZipFile(wheel).namelist())
    configs = {f"qa/accelerate_configs/{path.name}" for path in (ROOT / "accelerate_configs").iterdir()}
    assert configs | {"train_qa.py", "qa/tutorial.ipynb", "qa/py.typed", "qa/sample/train.json"} <= names
    assert {
        "qa/serving/page/index.html",
        "qa/report/page/report.css",
        "qa/report/page/chart.css",
        "qa/sample/zh/validation.json",
    } <= names
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "qa").rglob("*.py")}
    assert modules <= names
    assert not [name for name in names if name.startswith("tests")]


@pytest.mark.slow
def test_the_wheel_runs_from_elsewhere(wheel, tmp_path):
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path / "site")!r})
from qa.cli.main import main
import qa, train_qa
assert qa.__file__.startswith({str(tmp_path)!r}) and train_qa.__file__.startswith({str(tmp_path)!r})
assert main(["--version"]) == 0
assert main(["configs"]) == 0
assert main(["train", "no-such-preset"]) == 1
main(["train", "--help"])
"""
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    done = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"extractive-qa {qa.__version__}\n")
    assert "--training.learning-rate" in done.stdout
    assert (tmp_path / "accelerate_configs" / "cpu.yaml").exists()


def test_the_version_is_one(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"extractive-qa {qa.__version__}\n"
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (citation["version"], citation["license"]) == (qa.__version__, PROJECT["license"])


def test_the_extra_all_has_every_other_but_the_developers():
    extras = PROJECT["optional-dependencies"]
    (everything,) = extras["all"]
    named = re.fullmatch(r"extractive-qa\[(.*)\]", everything)[1].split(",")
    assert PROJECT["name"] == "extractive-qa"
    assert set(named) == set(extras) - {"all", "dev"}


def test_what_is_needed_to_ask_is_nothing_of_what_trains():
    names = {re.match(r"[\w-]+", line)[0] for line in PROJECT["dependencies"]}
    assert not names & {"accelerate", "datasets", "evaluate", "wandb"}
