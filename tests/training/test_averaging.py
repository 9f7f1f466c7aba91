"""The average of weights against a plain one over remembered weights; exact when a run is resumed."""

from dataclasses import replace

import pytest
import torch

from qa.config import RecipeConfig, RunConfig
from qa.data.examples import Examples
from qa.modeling.settings import settings_of
from qa.run_folder.checkpoints import Checkpoints
from qa.run_folder.identity import Identity
from qa.run_folder.paths import RunPaths
from tests.support import tiny
from tests.support.trainers import CALM, assert_same_weights, loop_for, weights

EMA = {"averaging": "ema", "averaging_decay": 0.6}
TAIL = {"averaging": "tail", "averaging_share": 0.4}


def averages(loop):
    with loop.averaged():
        return weights(loop)


def plain_ema(remembered, decay):
    average = remembered[0]
    for step, after in enumerate(remembered[1:], start=1):
        kept = min(decay, step / (step + 10))
        average = {name: kept * value + (1 - kept) * after[name] for name, value in average.items()}
    return average


def plain_tail(remembered, count):
    return {name: torch.stack([after[name] for after in remembered[-count:]]).mean(dim=0) for name in remembered[0]}


@pytest.mark.parametrize("recipe", [EMA, TAIL], ids=["ema", "tail"])
def test_averages_equal_the_plain_ones(recipe):
    loop = loop_for(recipe=recipe, max_steps=10)
    remembered = [weights(loop), *(weights(loop) for _ in loop.steps())]
    wanted = plain_ema(remembered, 0.6) if recipe is EMA else plain_tail(remembered, 4)
    assert_same_weights(averages(loop), wanted, rtol=1e-4, atol=1e-6)
    assert_same_weights(weights(loop), remembered[-1], rtol=0, atol=0)


def test_the_weights_come_back_after_an_error():
    loop = loop_for(recipe=EMA, max_steps=3)
    list(loop.steps())
    before, average = weights(loop), averages(loop)

    def fails():
        with loop.averaged():
            raise RuntimeError("in an evaluation")

    with pytest.raises(RuntimeError, match="in an evaluation"):
        fails()
    assert_same_weights(weights(loop), before, rtol=0, atol=0)
    assert_same_weights(averages(loop), average, rtol=0, atol=0)


def test_without_averaging_the_weights_are_the_model():
    loop = loop_for(max_steps=2)
    list(loop.steps())
    assert_same_weights(averages(loop), weights(loop), rtol=0, atol=0)


@pytest.mark.parametrize("recipe", [EMA, TAIL], ids=["ema", "tail"])
def test_a_resumed_run_has_the_same_average(recipe, tmp_path):
    rows = tiny.small(10)
    config = RunConfig(recipe=RecipeConfig(**recipe))

    def checkpoints(loop):
        loop.plan = replace(loop.plan, weights_fingerprint="those of the run")
        identity = Identity.of(config, loop, train=Examples(rows=rows), validation=None)
        return Checkpoints(RunPaths(tmp_path), loop, identity, settings_of(config, null_possible=True, threshold=0.0))

    whole = loop_for(rows, recipe=recipe, max_steps=8)
    for step in whole.steps():
        if step.number == 5:
            checkpoints(whole).save()
    other = loop_for(rows, model=tiny.model(seed=3, **CALM), recipe=recipe, max_steps=8)
    checkpoints(other).resume("auto")
    list(other.steps())
    assert_same_weights(averages(other), averages(whole), rtol=0, atol=0)
    assert_same_weights(weights(other), weights(whole), rtol=0, atol=0)
