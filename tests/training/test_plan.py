"""How many steps there are, and after which a run evaluates and saves."""

import pytest

from qa.errors import ConfigError
from qa.features.order import BatchSplit
from qa.features.windows import build_features
from qa.modeling.fingerprint import weights_fingerprint
from tests.support import tiny
from tests.support.trainers import WINDOWS, loop_for, plan_for, reader_of


def test_features_fewer_than_forward_passes_are_refused():
    with pytest.raises(ConfigError, match="10 training features"):
        loop_for(accumulation_steps=11, batch_size=1)


@pytest.mark.parametrize(
    ("every", "due"), [(None, [5, 10]), (0, []), (1, list(range(1, 11))), (4, [4, 8]), (5, [5, 10]), (11, [])]
)
def test_cadence_counts_steps_or_epochs(every, due):
    rows = tiny.small(10)
    reader = reader_of(tiny.model())
    features = build_features(rows, reader.tokenizer, WINDOWS)
    plan = plan_for(rows, features, reader, evaluates=True, evaluate_every=every, save_every=every, epochs=3.0)
    assert plan.steps_per_epoch == 5
    assert [step for step in range(1, 11) if plan.evaluation_is_due(step)] == due
    assert [step for step in range(1, 11) if plan.save_is_due(step)] == due
    assert plan.evaluation_is_due(plan.total_steps)


def test_plan_counts_all_processes():
    rows = tiny.small(100)
    reader = reader_of(tiny.model())
    features = build_features(rows, reader.tokenizer, WINDOWS)
    plan = plan_for(rows, features, reader, batch_size=8, accumulation_steps=2, epochs=1.5)
    assert len(features) == 100
    assert plan.split == BatchSplit(process=0, processes=1, accumulation_steps=2, batch_size=8)
    assert (plan.steps_per_epoch, plan.total_steps) == (7, 11)


def plan_of(**settings):
    rows, reader = tiny.small(10), reader_of(tiny.model())
    return plan_for(rows, build_features(rows, reader.tokenizer, WINDOWS), reader, **settings)


@pytest.mark.parametrize(
    ("recipe", "short", "untailed"),
    [
        ({}, 0, 0),
        ({"short_windows": 0.25, "short_length": 32}, 3, 0),
        ({"short_windows": 0.21, "short_length": 32}, 3, 0),
        ({"averaging": "tail", "averaging_share": 0.25}, 0, 9),
        ({"averaging": "ema"}, 0, 0),
    ],
)
def test_shares_of_a_run_are_steps(recipe, short, untailed):
    plan = plan_of(max_steps=12, recipe=recipe)
    assert (plan.short_steps, plan.untailed_steps) == (short, untailed)


@pytest.mark.parametrize(
    ("settings", "recipe", "changed"),
    [
        ({}, {}, []),
        ({"schedule": "linear"}, {}, ["the learning rate"]),
        ({}, {"short_windows": 0.5, "short_length": 32}, ["the steps on short windows"]),
        ({}, {"averaging": "tail"}, ["the steps that are averaged"]),
        (
            {"schedule": "linear"},
            {"averaging": "tail", "short_windows": 0.5, "short_length": 32},
            ["the learning rate", "the steps on short windows", "the steps that are averaged"],
        ),
    ],
)
def test_what_of_a_longer_run_would_have_been_different_is_named(settings, recipe, changed):
    plan = plan_of(max_steps=8, recipe=recipe, **settings)
    assert plan.changed_course(4, 4, start=0) == changed
    assert plan.changed_course(4, 8, start=0) == []


def test_a_plan_knows_what_the_model_was_and_takes():
    plan = plan_of(max_steps=1)
    assert plan.input_names == ("input_ids", "attention_mask", "token_type_ids")
    assert plan.weights_fingerprint == weights_fingerprint(tiny.model())
    assert plan.model_settings["hidden_size"] == 32
    assert plan.has_impossible
    assert list(plan.ids) == [f"q{at}" for at in range(10)]
