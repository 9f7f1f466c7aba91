"""The search proposes the same after the same, keeps to its ranges, and finds what is better."""

import math

import pytest

from qa.experiments.sweep_file import load_sweep
from tests.support.sweeps import values, write_sweep

pytest.importorskip("optuna", reason="searches: pip install 'extractive-qa[optuna]'")

from qa.experiments.search import propose

PARAMETERS = {
    "training.learning-rate": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-1},
    "training.batch-size": {"min": 4, "max": 32},
    "recipe.averaging": values("none", "ema", "tail"),
    "training.weight-decay": {"min": 0.0, "max": 0.1},
    "seed": values(1, 2),
}


def value(setting):
    """Best at a rate of 1e-3 with ema."""
    return -abs(math.log10(setting["training.learning-rate"]) + 3) + (setting["recipe.averaging"] == "ema")


def searched(sweep, count, sign=1):
    found = []
    for _ in range(count):
        setting = propose(sweep, found, 0)
        found.append((setting, sign * value(setting)))
    return found


@pytest.mark.parametrize("goal", ["maximize", "minimize"])
def test_better_settings_are_found_and_ranges_kept(tmp_path, goal):
    metric = {"name": "eval/f1", "goal": goal}
    sweep = load_sweep(write_sweep(tmp_path, method="bayes", run_cap=60, parameters=PARAMETERS, metric=metric))
    found = [setting for setting, _ in searched(sweep, 30, sign=1 if goal == "maximize" else -1)]
    assert sum(map(value, found[20:])) / 10 > sum(map(value, found[:10])) / 10 + 0.3
    for setting in found:
        assert 1e-5 <= setting["training.learning-rate"] <= 1e-1
        assert setting["training.batch-size"] in range(4, 33)
        assert setting["recipe.averaging"] in {"none", "ema", "tail"}
        assert "seed" not in setting


def test_the_same_is_proposed_after_the_same_and_nothing_twice(tmp_path):
    sweep = load_sweep(write_sweep(tmp_path, method="bayes", run_cap=60, parameters=PARAMETERS))
    found = searched(sweep, 8)
    assert propose(sweep, found, 0) == propose(sweep, found, 0)
    assert propose(sweep, found[:3], 0) == found[3][0]
    assert len({str(setting) for setting, _ in found}) == 8
    assert propose(sweep, found, 1) != propose(sweep, found, 0)


def test_settings_whose_runs_failed_are_passed_over(tmp_path):
    sweep = load_sweep(write_sweep(tmp_path, method="bayes", run_cap=60, parameters=PARAMETERS))
    found = [(setting, None) for setting, _ in searched(sweep, 3)]
    assert propose(sweep, found, 0) not in [setting for setting, _ in found]
