"""A sweep file becomes settings and seeds, or an error that names what is wrong in it."""

import re

import pytest

from qa.errors import SweepError
from qa.experiments.settings import arguments_of, grid, setting_name
from qa.experiments.sweep_file import Parameter, load_sweep, rounded
from qa.presets import parse_config
from tests.support.sweeps import values, write_sweep

RATES = {"training.learning-rate": values(1e-4, 2e-4)}


def load(tmp_path, **keys):
    return load_sweep(write_sweep(tmp_path, **keys))


def test_variants_are_flags_that_go_together(tmp_path):
    variants = {"plain": None, "averaged": {"recipe.averaging": "ema", "recipe.averaging_decay": 0.9}}
    sweep = load(tmp_path, parameters=RATES, variants=variants)
    settings = list(grid(sweep))
    assert [setting_name(one) for one in settings] == [
        "variant=plain, learning-rate=0.0001",
        "variant=plain, learning-rate=0.0002",
        "variant=averaged, learning-rate=0.0001",
        "variant=averaged, learning-rate=0.0002",
    ]
    assert sweep.flags_of(settings[2]) == {
        "training.learning-rate": 1e-4,
        "recipe.averaging": "ema",
        "recipe.averaging-decay": 0.9,
    }


def test_cap_counts_runs_so_that_no_setting_lacks_seeds(tmp_path):
    sweep = load(tmp_path, run_cap=7, parameters=RATES | {"seed": values(1, 2, 3)})
    assert sweep.most_settings == 2


def test_rates_that_yaml_takes_for_texts_are_numbers_to_the_run(tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text("method: grid\nparameters:\n  training.learning-rate: {values: [1e-4, 3e-4]}\n")
    sweep = load_sweep(path)
    (first, _) = grid(sweep)
    assert parse_config(arguments_of(sweep.flags_of(first))).training.learning_rate == 1e-4


def test_rounding_stays_inside_the_range():
    assert rounded(Parameter(min=1, max=10, q=4), 9.9) == 8
    assert rounded(Parameter(min=1.0, max=9.0, q=4.0), 8.1) == 8
    assert rounded(Parameter(min=0.0, max=0.25, q=0.1), 0.25) in {0.2, 0.25}
    assert rounded(Parameter(min=3, max=10, q=4), 3.1) == 4
    assert rounded(Parameter(min=3, max=10, q=4), 10.0) == 8


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"parameters": {"training.learnin-rate": {"value": 1}}}, "did you mean 'training.learning-rate'?"),
        ({"parameters": {"zzz": {"value": 1}}}, "no flag 'zzz' of train_qa.py"),
        ({"parameters": {"seed": {"min": 1, "max": 3}}}, "seed: wanted value or values"),
        ({"parameters": {"seed": values(1, True)}}, "seed: wanted value or values"),
        ({"parameters": {"seed": values(1, 1)}}, "a seed is there twice"),
        ({"parameters": {"seed": {"values": []}}}, "values is empty"),
        ({"parameters": {"model": {"value": 1, "valeus": [1]}}}, "parameters.model.valeus"),
        ({"parameters": {"training.epochs": {"min": 1}}}, "found one of min and max"),
        ({"parameters": {"training.epochs": {"min": 3, "max": 1}}}, "min 3 is above max 1"),
        ({"parameters": {"training.epochs": {"min": 1, "max": 3}}}, "a grid cannot go through"),
        ({"parameters": {"training.epochs": {"min": 1, "max": 3, "values": [1]}}}, "found values and a range"),
        (
            {"parameters": {"training.epochs": {"min": 0, "max": 3, "distribution": "log_uniform_values"}}},
            "more than 0 for a logarithmic range",
        ),
        ({"parameters": {"training.epochs": {"mu": 1, "distribution": "normal"}}}, "parameters.training.epochs"),
        ({"parameters": {"model": {"values": ["a"], "probabilities": [0.1, 0.9]}}}, "probabilities"),
        ({"method": "random", "parameters": RATES}, "wanted run_cap"),
        ({"method": "random", "run_cap": 1, "parameters": {"seed": values(1, 2)}}, "run_cap 1 is less than"),
        ({"method": "bayes", "run_cap": 3, "parameters": {"model": {"value": "m"}}}, "nothing to vary"),
        ({"method": "best", "parameters": {}}, "method"),
        ({"parameters": RATES, "early_terminate": {"type": "hyperband"}}, "early_terminate"),
        (
            {"parameters": RATES, "variants": {"a": {"training.learning-rate": 1}}},
            "in the variant 'a' and in parameters",
        ),
        ({"parameters": {}, "variants": {"a": {"nope": 1}}}, "no flag 'nope'"),
        ({"parameters": {}, "metric": {"name": "f1", "goal": "best"}}, "metric.goal"),
    ],
)
def test_what_no_sweep_can_be_is_named(tmp_path, keys, message):
    with pytest.raises(SweepError, match=re.escape(message)):
        load(tmp_path, **keys)


@pytest.mark.parametrize("content", ["- 1\n", "a: [", "\xff\xfe"])
def test_files_that_are_no_sweeps(tmp_path, content):
    path = tmp_path / "sweep.yaml"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(SweepError, match=r"sweep\.yaml"):
        load_sweep(path)
    with pytest.raises(SweepError, match="cannot read"):
        load_sweep(tmp_path / "none.yaml")
