"""The batches of every step: every feature once an epoch; halved where memory runs out."""

import numpy as np
import pytest
import torch

from tests.support import tiny
from tests.support.trainers import STEADY, assert_same_weights, limited_memory, loop_for, weights


def test_a_step_that_is_repeated_with_halved_batches_starts_from_no_gradient():
    """The batch that fails, the second of three, is not the last, for which accelerate's `zero_grad` would wait."""
    rows, settings = tiny.small(12), {"batch_size": 4, "accumulation_steps": 3, "max_steps": 1, **STEADY}
    whole = loop_for(rows, **settings)
    halved = loop_for(rows, auto_batch_size=True, loss=limited_memory(2), **settings)
    (wanted,) = whole.steps()
    (found,) = halved.steps()
    assert halved.progress.batch_limit == 2
    assert found.gradient_norm == pytest.approx(wanted.gradient_norm, rel=1e-5)
    assert_same_weights(weights(halved), weights(whole), rtol=0, atol=1e-6)


def test_smaller_batches_than_memory_holds_are_not_halved():
    """As after resuming with the batches that the error message advises."""
    loop = loop_for(batch_size=2, accumulation_steps=4, max_steps=2, auto_batch_size=True, loss=limited_memory(2))
    loop.progress.batch_limit = 2
    assert len(list(loop.steps())) == 2
    assert loop.progress.batch_limit == 2


def test_every_epoch_sees_every_feature_once_in_another_order():
    loop = loop_for(tiny.small(20))
    first, second = (np.concatenate(loop.loader.epoch_steps(epoch)) for epoch in (0, 1))
    assert sorted(first) == sorted(second) == list(range(len(loop.features)))
    assert not np.array_equal(first, second)


def test_compiling_pads_to_few_lengths(monkeypatch):
    monkeypatch.setattr(torch.nn.Module, "compile", lambda *_, **__: None)
    loop = loop_for(tiny.small(6), batch_size=6, max_steps=1, compile=True)
    (report,) = loop.steps()
    assert report.padded_tokens == 6 * 64
