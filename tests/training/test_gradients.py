"""The gradient of a step is that of the mean over its features, however they are split."""

import math

import numpy as np
import pytest
import torch

from qa.errors import MemoryLimitError
from qa.modeling.loss import span_loss
from qa.runtime.own_time import OwnTime
from qa.training.gradients import Gradient, compute_gradient
from tests.support import tiny
from tests.support.conditional import conditional_model
from tests.support.trainers import CALM, STEADY, assert_same_weights, batch_of, loop_for, weights


def trained(rows, **training):
    loop = loop_for(rows, **STEADY, **training)
    reports = list(loop.steps())
    return reports, weights(loop)


@pytest.mark.parametrize(("split", "examples"), [((4, 2), 16), ((1, 8), 16), ((4, 2), 19), ((2, 4), 19)])
def test_any_split_of_a_step_gives_the_same_training(split, examples):
    """A batch of 8, also where steps are not full (19 features: 7, 6 and 6)."""
    rows = tiny.small(examples)
    batch_size, accumulation = split
    whole_reports, whole = trained(rows, batch_size=8, epochs=2.0)
    reports, parts = trained(rows, batch_size=batch_size, accumulation_steps=accumulation, epochs=2.0)
    assert len(reports) == len(whole_reports)
    for one, other in zip(reports, whole_reports, strict=True):
        assert one.features == other.features
        assert one.loss == pytest.approx(other.loss, rel=1e-4)
        assert one.gradient_norm == pytest.approx(other.gradient_norm, rel=1e-3)
    assert_same_weights(parts, whole, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("head", "model"),
    [("tokens", lambda: None), ("conditional", lambda: conditional_model(**CALM))],
    ids=["tokens", "conditional"],
)
def test_any_split_of_a_step_trains_other_heads_alike(head, model):
    rows = tiny.small(13)
    _, whole = trained(rows, head=head, model=model(), batch_size=8, epochs=1.0)
    reports, parts = trained(rows, head=head, model=model(), batch_size=2, accumulation_steps=4, epochs=1.0)
    assert_same_weights(parts, whole, rtol=1e-4, atol=1e-6)
    assert all(report.loss > 0 for report in reports)


@pytest.mark.parametrize("head", ["spans", "tokens"])
@pytest.mark.parametrize("accumulation", [1, 2, 3])
def test_packed_rows_train_as_one_row_a_feature(accumulation, head):
    """The same features in the same steps, whichever share a row; padding is all that differs."""
    rows, training = tiny.small(19), {"batch_size": 9 // accumulation, "accumulation_steps": accumulation, **STEADY}
    packed = loop_for(rows, head=head, packed_length=128, **training)
    padded = loop_for(rows, head=head, **training)
    steps = packed.loader.epoch_steps(0)
    assert len(steps) == 3
    found, wanted = ([loop.step(step) for step in loop.loader.load(steps)] for loop in (packed, padded))
    for one, other in zip(found, wanted, strict=True):
        assert one.loss == pytest.approx(other.loss, rel=1e-4)
        assert one.tokens == other.tokens
        assert one.padded_tokens % 128 == 0
        assert one.padded_tokens != other.padded_tokens
    assert_same_weights(weights(packed), weights(padded), rtol=1e-4, atol=1e-6)


def test_partial_accumulation_window_is_normalised_by_its_true_count():
    """5 batches with accumulation 4: elsewhere the last step has a quarter of the gradient that it should have."""
    rows = tiny.small(10)
    loop = loop_for(rows, batch_size=2, accumulation_steps=4, epochs=1.0)
    reports = list(loop.steps())
    assert sum(report.features for report in reports) == 10
    assert len(reports) == 2
    for features in loop.loader.epoch_steps(0):
        fresh = loop_for(rows)
        batch = batch_of(fresh, features)
        output = fresh.model(**batch.inputs)
        loss = span_loss(output.start_logits, output.end_logits, batch) / len(features)
        loss.backward()
        wanted = torch.nn.utils.clip_grad_norm_(fresh.model.parameters(), math.inf)
        again = loop_for(rows, batch_size=2, accumulation_steps=4)
        (step,) = again.loader.load([features])
        assert len(step.batches) == 4
        found = again.compute_gradient(step)
        assert found.loss == pytest.approx(float(loss.detach()), rel=1e-5)
        assert found.norm == pytest.approx(float(wanted), rel=1e-4)


def test_gradient_is_clipped_and_its_norm_told_before_that():
    updates = []
    for limit in (None, 1e-3):
        loop = loop_for(max_steps=1, max_gradient_norm=limit)
        found = []
        loop.optimizer.optimizer.register_step_pre_hook(
            lambda optimizer, *_, found=found: found.append(
                torch.cat([p.grad.flatten() for group in optimizer.param_groups for p in group["params"]]).norm()
            )
        )
        (report,) = loop.steps()
        updates.append((report.gradient_norm, float(found[0])))
    (free, free_used), (clipped, clipped_used) = updates
    assert clipped == pytest.approx(free, rel=1e-5)
    assert free_used == pytest.approx(free, rel=1e-4)
    assert clipped_used == pytest.approx(1e-3, rel=1e-2)


def gradient_of(loop, **changes):
    (step,) = loop.loader.load([np.arange(4)])
    own_time = OwnTime(loop.accelerator)
    given = {"own_time": own_time, "features": 4, "max_norm": None, "exchange_apart": False} | changes
    loss = given.pop("loss", span_loss)
    return compute_gradient(loop.accelerator, loop.model, loss, step.batches, **given)


def test_a_gradient_that_is_exchanged_apart_is_the_same():
    found = [gradient_of(loop_for(batch_size=4), exchange_apart=apart) for apart in (False, True)]
    assert found[0].loss == found[1].loss
    assert found[0].norm == pytest.approx(found[1].norm, rel=1e-6)
    assert found[0].padded_tokens == found[1].padded_tokens > 0
    assert found[0].is_known


def test_a_backend_that_does_not_tell_the_norm_has_none():
    sums = torch.tensor([2.5, 96.0, 0.25, 0.5])
    gradient, told = Gradient(sums, None), Gradient(sums, torch.tensor(3.0))
    assert (gradient.loss, gradient.padded_tokens) == (told.loss, told.padded_tokens) == (2.5, 96)
    assert math.isnan(gradient.norm)
    assert told.norm == 3.0
    assert gradient.own_seconds == told.own_seconds == [0.25, 0.5]


def test_what_a_process_did_for_itself_is_told_with_the_gradient():
    loop = loop_for(batch_size=4)
    own_time = OwnTime(loop.accelerator)
    own_time.add(1000.0)
    (found,) = gradient_of(loop, own_time=own_time).own_seconds
    assert found > 1000.0
    assert own_time.take() == 0.0


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("error", [torch.OutOfMemoryError("no GiB"), MemoryError()])
def test_a_batch_that_does_not_fit_is_named_with_its_shape(error, apart):
    def full(*_):
        raise error

    with pytest.raises(MemoryLimitError, match=r"batch of 4 features × \d+ tokens"):
        gradient_of(loop_for(batch_size=4), loss=full, exchange_apart=apart)


def test_other_errors_of_a_pass_are_not_taken_for_memory():
    def broken(*_):
        raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        gradient_of(loop_for(batch_size=4), loss=broken)
