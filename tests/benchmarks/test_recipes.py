"""The benchmark of recipes: the same examples for all, then as many as fit into the same minutes."""

import json
import sys

import pytest

from qa.experiments.settings import arguments_of
from qa.presets import parse_config
from tests.benchmarks import recipes
from tests.support.sweeps import write_program

TAKES = """
seconds = 600 if words.get("recipe.averaging") == "ema" else 300
(folder / "history.jsonl").write_text(json.dumps({"step": 9, "seconds": seconds, "train/loss": 1.0}) + "\\n")
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_program(tmp_path, TAKES)

    def go(*arguments):
        monkeypatch.setattr(sys, "argv", ["recipes", "--data", str(tmp_path), "--seeds", "1", "2", *arguments])
        assert recipes.main() == 0

    return go


def examples(folder):
    """Numbers of examples by recipe, one for each run."""
    found = {}
    for name, entry in json.loads((folder / "sweep.json").read_text())["runs"].items():
        assert len((folder / name / "calls.jsonl").read_text().splitlines()) == 1
        found.setdefault(entry["setting"]["variant"], []).append(entry["flags"]["max-train-examples"])
    return found


def test_a_recipe_that_takes_twice_as_long_has_half_of_the_examples(run, tmp_path):
    only = ("ema", "small-batches-beta-0.98")
    run("--examples", "1000", "--only", *only)
    run("--examples", "1000", "--only", *only)
    out = tmp_path / "runs" / "recipes"
    assert examples(out / "examples") == {"plain": [1000] * 2, "ema": [1000] * 2, only[1]: [1000] * 2}
    assert examples(out / "minutes") == {"plain": [1000] * 2, "ema": [500] * 2, only[1]: [1000] * 2}
    for part in ("examples", "minutes"):
        assert "variant=ema" in (out / part / "table.md").read_text()


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_every_recipe_is_one_that_a_run_can_have(name):
    plain, config = (parse_config(arguments_of(recipes.BASE | flags)) for flags in ({}, recipes.RECIPES[name]))
    assert (config == plain) == (name == recipes.PLAIN)
