"""Runs are grouped and named by what they are."""

import dataclasses
from pathlib import Path

import pytest

from qa.config import RecipeConfig, RunConfig, TrackingConfig, TrainingConfig
from qa.errors import ComparisonError
from qa.experiments.finished import FinishedRun, read_run, systems_of
from tests.support.finished import answers, write_data, write_run


def run(folder, **settings):
    config = RunConfig(output_dir=Path(folder), **settings)
    return FinishedRun(folder=Path(folder), config=config, answers={}, scores={}, history=[])


def ema(folder, seed):
    return run(folder, seed=seed, recipe=RecipeConfig(averaging="ema"))


def test_runs_that_differ_in_the_seed_belong_together_and_are_named_by_what_differs():
    found = systems_of([run("a", seed=1), ema("b", 1), run("c", seed=2), ema("d", 2)])
    assert [(one.name, one.seeds) for one in found] == [("averaging=none", [1, 2]), ("averaging=ema", [1, 2])]
    assert [str(one.folder) for one in found[0].runs] == ["a", "c"]


def test_where_and_how_a_run_is_recorded_does_not_part_it_from_others():
    recorded = run("b", seed=2, tracking=TrackingConfig(project="other"), training=TrainingConfig(save_every=7))
    (one, _) = systems_of([run("a", seed=1), recorded, ema("c", 1)])
    assert len(one.runs) == 2


def test_each_run_for_itself_if_asked_or_if_all_are_alike():
    runs = [run("x/a", seed=1), run("x/b", seed=2)]
    assert [one.name for one in systems_of(runs)] == ["a", "b"]
    assert [one.name for one in systems_of([*runs, ema("x/c", 1)], each=True)] == ["a", "b", "c"]
    assert [one.name for one in systems_of([run("x/a"), run("y/a")])] == ["x/a", "y/a"]


def test_recipes_that_differ_in_much_are_named_by_their_folders():
    other = dataclasses.replace(ema("other", 1).config, recipe=RecipeConfig(averaging="ema", dropout=0.0))
    other = dataclasses.replace(other, model="m", training=TrainingConfig(learning_rate=1.0, batch_size=3, epochs=9.0))
    found = systems_of(
        [run("plain"), FinishedRun(folder=Path("other"), config=other, answers={}, scores={}, history=[])]
    )
    assert [one.name for one in found] == ["plain", "other"]


def test_folder_is_read_or_what_is_missing_named(tmp_path):
    data = write_data(tmp_path / "data.jsonl")
    folder = write_run(tmp_path / "run", data, answers(lambda _: True), history=[(2, 60.0, 10.0), (4, 150.0, 20.0)])
    found = read_run(folder)
    assert found.minutes == 2.5
    assert found.scores["f1"] == 100.0
    assert found.curve("eval/f1").minutes == (1.0, 2.5)
    (folder / "predictions.json").unlink()
    with pytest.raises(ComparisonError, match=r"has no evaluation to compare: cannot read predictions.json"):
        read_run(folder)
    with pytest.raises(ComparisonError, match=r"no run folder: found no config.json"):
        read_run(tmp_path)
