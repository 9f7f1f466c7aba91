"""Which settings a sweep tries, and what its runs are called."""

import itertools

import pytest

from qa.experiments.settings import arguments_of, drawn, grid, trials_of
from qa.experiments.sweep_file import load_sweep
from qa.presets import parse_config
from tests.support.sweeps import values, write_sweep

RATES = {"training.learning-rate": values(1e-4, 2e-4)}


def load(tmp_path, **keys):
    return load_sweep(write_sweep(tmp_path, **keys))


def test_grid_is_the_product_of_all_values_and_seeds_are_apart(tmp_path):
    parameters = RATES | {"recipe.averaging": values("none", "ema"), "seed": values(1, 2, 3), "model": {"value": "m"}}
    sweep = load(tmp_path, parameters=parameters)
    found = list(grid(sweep))
    assert found == [
        {"training.learning-rate": rate, "recipe.averaging": averaging}
        for rate, averaging in itertools.product((1e-4, 2e-4), ("none", "ema"))
    ]
    trials = [trial for setting in found for trial in trials_of(sweep, setting, [])]
    assert len({trial.name for trial in trials}) == 12
    assert trials[0].flags == {"model": "m", "training.learning-rate": 1e-4, "recipe.averaging": "none", "seed": 1}
    assert trials[0].name.startswith("learning-rate=0.0001,averaging=none,seed=1-")


def test_name_of_a_run_changes_with_any_flag_and_with_the_command(tmp_path):
    def names(words=(), **more):
        sweep = load(tmp_path, parameters=RATES | more)
        return [trial.name for setting in grid(sweep) for trial in trials_of(sweep, setting, words)]

    assert names() == names()
    for other in (names(["minilm-squad"]), names(**{"training.epochs": {"value": 9}})):
        assert not set(names()) & set(other)
    longer = {"training.learning-rate": values(1e-4, 2e-4, 4e-4)}
    assert names(**longer)[:2] == names()  # what a longer list adds leaves the others as they were


def test_random_settings_depend_on_seed_and_place_alone_and_keep_their_ranges(tmp_path):
    parameters = {
        "training.learning-rate": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-3},
        "training.batch-size": {"min": 4, "max": 9},
        "training.weight_decay": {"min": 0.0, "max": 0.1, "q": 0.02, "distribution": "q_uniform"},
        "recipe.averaging": {"values": ["none", "ema"], "probabilities": [0.1, 0.9]},
    }
    sweep = load(tmp_path, method="random", run_cap=7, parameters=parameters)
    found = list(itertools.islice(drawn(sweep, 0), 300))
    assert found[:7] == list(itertools.islice(drawn(sweep, 0), 7))
    assert found[:7] != list(itertools.islice(drawn(sweep, 1), 7))
    rates = sorted(one["training.learning-rate"] for one in found)
    assert 1e-5 <= rates[0] < rates[-1] <= 1e-3
    assert 5e-5 < rates[150] < 2e-4  # the middle of equal ratios
    assert {one["training.batch-size"] for one in found} == {4, 5, 6, 7, 8, 9}
    assert {one["training.weight-decay"] for one in found} == {0, 0.02, 0.04, 0.06, 0.08, 0.1}
    assert 240 < sum(one["recipe.averaging"] == "ema" for one in found) < 295


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"training.compile": True}, ["--training.compile"]),
        ({"training.compile": False}, ["--training.no-compile"]),
        ({"training.adam-betas": [0.9, 0.98]}, ["--training.adam-betas", "0.9", "0.98"]),
        ({"training.learning-rate": 0.00002}, ["--training.learning-rate=2e-05"]),
        ({"training.max-steps": None}, ["--training.max-steps=None"]),
        ({"data.on-bad-example": "skip"}, ["--data.on-bad-example=skip"]),
        ({"training.epochs": 1 / 3}, [f"--training.epochs={1 / 3!r}"]),
    ],
)
def test_flags_become_words_that_the_parser_takes(value, words):
    assert arguments_of(value) == words
    config = parse_config(words)
    ((name, wanted),) = value.items()
    section, field = name.replace("-", "_").split(".")
    found = getattr(getattr(config, section), field)
    assert (list(found) if isinstance(found, tuple) else found) == wanted
