"""The loop: a loss that no batch changes, gradients that no split changes, one clock, and errors that stop it."""

import gc
import math
import weakref
from dataclasses import replace

import pytest
import torch
from accelerate import Accelerator

from qa.errors import NotFiniteError
from qa.modeling.loss import span_loss
from qa.runtime.host_copy import HostCopy
from tests.support import tiny
from tests.support.counters import masks_unasked, waits_counted
from tests.support.trainers import (
    STEADY,
    assert_same_weights,
    batch_of,
    loop_for,
    scaled_loop,
    weights,
)

# --- padding ---


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_loss_of_a_feature_does_not_depend_on_its_padding(family):
    loop = loop_for(family=family)
    loop.model.train(mode=False)
    found = []
    for multiple in (1, 8, 64):
        batch = batch_of(loop, [4], pad_multiple=multiple)
        with torch.inference_mode():
            output = loop.model(**batch.inputs)
        found.append(float(span_loss(output.start_logits, output.end_logits, batch)))
    assert found == pytest.approx([found[0]] * 3, rel=1e-5)


# --- the clock ---


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ({"epochs": 1.0}, 5),
        ({"epochs": 3.0}, 15),
        ({"epochs": 0.5}, 3),
        ({"epochs": 1.3}, 7),
        ({"max_steps": 4}, 4),
        ({"max_steps": 12, "epochs": 1.0}, 12),
        ({"epochs": 1.0, "accumulation_steps": 2}, 3),
        ({"epochs": 2.0, "batch_size": 16}, 2),
    ],
)
def test_run_has_the_steps_of_its_plan(settings, steps):
    loop = loop_for(**settings)
    reports = list(loop.steps())
    assert [report.number for report in reports] == list(range(1, steps + 1))
    assert loop.is_done
    assert loop.progress.step == steps
    per_epoch = loop.plan.steps_per_epoch
    assert [report.epoch for report in reports] == [step / per_epoch for step in range(1, steps + 1)]
    assert [report.ends_epoch for report in reports] == [step % per_epoch == 0 for step in range(1, steps + 1)]
    assert list(loop.steps()) == []


def test_schedule_counts_optimizer_steps():
    """A scheduler that accelerate prepares advances once a process and also on skipped steps."""
    loop = loop_for(max_steps=4, schedule="linear", accumulation_steps=2)
    assert [report.learning_rate for report in loop.steps()] == pytest.approx([1e-3, 7.5e-4, 5e-4, 2.5e-4])


def test_report_counts_tokens_and_padding():
    loop = loop_for(tiny.small(6), batch_size=6, max_steps=1)
    (report,) = loop.steps()
    lengths = loop.features.lengths
    assert report.tokens == lengths.sum()
    assert report.padded_tokens == 6 * (-(-lengths.max() // 8) * 8)
    assert report.features == 6
    assert report.overflows == 0
    assert report.seconds > 0


def test_stopping_to_iterate_keeps_the_place():
    whole = loop_for(epochs=2.0)
    wanted = [report.loss for report in whole.steps()]
    loop, found = loop_for(epochs=2.0), []
    while not loop.is_done:
        for report in loop.steps():
            found.append(report.loss)
            if report.number % 3 == 0:
                break
    assert found == wanted
    assert_same_weights(weights(loop), weights(whole), rtol=0, atol=0)


def test_same_seed_gives_the_same_run_and_another_seed_another():
    runs = {}
    for name, seed in (("one", 3), ("two", 3), ("other", 4)):
        loop = loop_for(seed=seed, dropout=True, max_steps=4)
        runs[name] = [report.loss for report in loop.steps()]
    assert runs["one"] == runs["two"]
    assert runs["one"] != runs["other"]


def test_random_numbers_drawn_between_steps_change_nothing():
    """An evaluation, a data loader or a logger may draw from torch's generator."""
    quiet = [report.loss for report in loop_for(dropout=True, max_steps=4).steps()]
    noisy = []
    for report in loop_for(dropout=True, max_steps=4).steps():
        noisy.append(report.loss)
        torch.rand(report.number)
    assert noisy == quiet


def test_dropout_differs_from_step_to_step():
    loop = loop_for(tiny.small(1), dropout=True, batch_size=1, learning_rate=1e-12, max_steps=4)
    assert len({report.loss for report in loop.steps()}) == 4


# --- training works ---


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_every_family_learns_what_it_sees_again_and_again(family):
    loop = loop_for(tiny.small(4), family=family, batch_size=4, learning_rate=1e-2, max_steps=12)
    losses = [report.loss for report in loop.steps()]
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_bf16_follows_float32_with_the_same_dropout(family, fresh_accelerator):
    losses = []
    for precision in ("no", "bf16"):
        fresh_accelerator()
        Accelerator(cpu=True, mixed_precision=precision)  # which the loop's shares
        loop = loop_for(family=family, dropout=True, epochs=2.0)
        losses.append([report.loss for report in loop.steps()])
        assert {parameter.dtype for parameter in loop.model.parameters()} == {torch.float32}
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.005)


def test_model_gets_only_inputs_that_it_names():
    loop = loop_for(family="distilbert", max_steps=1)
    seen = []
    loop.model.register_forward_pre_hook(lambda _, __, inputs: seen.append(set(inputs)), with_kwargs=True)
    list(loop.steps())
    assert seen == [{"input_ids", "attention_mask"}]


def test_gradient_checkpointing_gives_the_same_training():
    losses = []
    for recompute in (False, True):
        loop = loop_for(max_steps=3, gradient_checkpointing=recompute)
        losses.append([report.loss for report in loop.steps()])
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


@pytest.mark.parametrize("fused", [False, True])
def test_fused_and_plain_optimizers_train_alike(fused):
    loop = loop_for(max_steps=3, fused=fused)
    assert loop.optimizer.optimizer.defaults["fused"] is fused
    plain = loop_for(max_steps=3, fused=False)
    losses = [report.loss for report in loop.steps()]
    assert losses == pytest.approx([report.loss for report in plain.steps()], rel=1e-4)


# --- what is not finite ---


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_loss_that_is_not_finite_stops_with_step_rate_and_examples(value):
    loop = loop_for(max_steps=5, batch_size=2, accumulation_steps=2)
    steps = loop.steps()
    next(steps)
    # the head's bias moves all tokens alike, so a single weight is what breaks the loss
    with torch.no_grad():
        loop.model.qa_outputs.weight[0, 0] = value
    before = weights(loop)
    with pytest.raises(NotFiniteError) as error:
        next(steps)
    features = loop.loader.epoch_steps(0)[1]
    message = str(error.value)
    assert "step 1" in message
    assert "learning rate 0.001" in message
    for feature in features:
        assert repr(loop.plan.ids[loop.features.example[feature]]) in message
    assert loop.progress.step == 1
    for name, after in weights(loop).items():
        assert torch.equal(after.nan_to_num(), before[name].nan_to_num()), name


def test_gradient_that_is_not_finite_stops_before_the_weights_are_touched():
    loop = loop_for(max_steps=2)
    loop.model.qa_outputs.weight.register_hook(lambda gradient: gradient * math.inf)
    before = weights(loop)
    with pytest.raises(NotFiniteError, match=r"gradient norm (inf|nan)"):
        next(loop.steps())
    assert_same_weights(weights(loop), before, rtol=0, atol=0)


# --- a device that is not waited for ---


@pytest.fixture
def late(monkeypatch):
    """Loss and norm come as from a GPU: who reads them waits."""
    monkeypatch.setattr(HostCopy, "is_here", False)


def broken_loop(**options):
    """A loop after one sound step; all later ones are not."""
    loop = loop_for(max_steps=5, **options)
    steps = loop.steps()
    next(steps)
    with torch.no_grad():
        loop.model.qa_outputs.weight[0, 0] = math.nan
    return loop, steps


@pytest.mark.usefixtures("late")
def test_the_first_wrong_step_of_a_device_is_named_one_step_later():
    loop, steps = broken_loop()
    next(steps)
    with pytest.raises(NotFiniteError, match=r"step 1: loss nan") as error:
        next(steps)
    for feature in loop.loader.epoch_steps(0)[1]:
        assert repr(loop.plan.ids[loop.features.example[feature]]) in str(error.value)


@pytest.mark.usefixtures("late")
def test_a_wrong_step_of_a_device_is_noticed_before_its_weights_are_used():
    loop, steps = broken_loop(recipe={"averaging": "ema"})
    next(steps)
    with pytest.raises(NotFiniteError, match="step 1"):
        loop.averaged()


@pytest.mark.usefixtures("late")
def test_a_wrong_last_step_of_a_device_is_noticed():
    loop, steps = broken_loop()
    loop.plan = replace(loop.plan, total_steps=2)
    next(steps)
    with pytest.raises(NotFiniteError, match="step 1"):
        next(steps)


@pytest.mark.usefixtures("late")
def test_reports_that_are_not_read_hold_no_batches():
    loop = loop_for(max_steps=4)
    steps, loaded, reports = loop.loader.remaining(), [], []
    for _ in range(4):
        step = next(steps)
        loaded.append(weakref.ref(step))
        reports.append(loop.step(step))
    del step, steps
    gc.collect()
    assert [step() is None for step in loaded] == [True, True, True, False]  # the last one is not settled
    assert all(math.isfinite(report.loss) for report in reports)


@pytest.mark.usefixtures("late", "fresh_accelerator")
@pytest.mark.parametrize(("make", "wanted"), [(loop_for, 0), (scaled_loop, 1)], ids=["fp32", "fp16"])
def test_a_step_waits_for_its_device_only_for_the_loss_scale(make, wanted):
    loop = make(max_steps=4, fused=True)
    loop.model.set_attn_implementation("sdpa")  # as on a GPU
    with masks_unasked():
        steps = loop.steps()
        next(steps)  # fp16 reads the scale that it starts with
        with waits_counted() as waits:
            next(steps)
            next(steps)
    assert waits.count == 2 * wanted


# --- fp16's loss scale, on a CPU ---


@pytest.mark.usefixtures("fresh_accelerator")
@pytest.mark.parametrize("fused", [False, True])
def test_overflow_repeats_the_step_with_a_smaller_scale(fused):
    """accelerate does not notice the skipped step of a fused optimizer (#4242); the schedule would run ahead."""
    options = {"max_steps": 4, "schedule": "linear", "dropout": True} | STEADY
    plain = loop_for(fused=False, **options)
    wanted = list(plain.steps())
    loop = scaled_loop(overflow_above=30.0, fused=fused, **options)
    found = list(loop.steps())
    assert found[0].overflows > 3
    assert sum(report.overflows for report in found[1:]) < found[0].overflows
    total = sum(report.overflows for report in found)
    assert loop.accelerator.scaler.get_scale() == 2.0**16 / 2**total
    assert loop.progress.step == 4
    assert [report.number for report in found] == [1, 2, 3, 4]
    assert [report.learning_rate for report in found] == [report.learning_rate for report in wanted]
    assert [report.loss for report in found] == pytest.approx([report.loss for report in wanted], rel=1e-4)
    assert [report.gradient_norm for report in found] == pytest.approx(
        [report.gradient_norm for report in wanted], rel=1e-3
    )
    assert_same_weights(weights(loop), weights(plain), rtol=1e-4, atol=1e-6)


@pytest.mark.usefixtures("fresh_accelerator")
def test_overflow_at_every_scale_stops_with_the_examples():
    loop = scaled_loop(overflow_above=0.0, max_steps=1)
    before = weights(loop)
    with pytest.raises(NotFiniteError, match=r"step 0: .*worked on the examples 'q"):
        next(loop.steps())
    assert loop.progress.step == 0
    assert_same_weights(weights(loop), before, rtol=0, atol=0)


@pytest.mark.usefixtures("fresh_accelerator")
def test_scale_that_grows_is_no_overflow():
    loop = scaled_loop(scale=8.0, max_steps=3)
    loop.accelerator.scaler.set_growth_interval(1)
    assert [report.overflows for report in loop.steps()] == [0, 0, 0]
    assert loop.accelerator.scaler.get_scale() == 64.0


# --- a run that makes no progress ---


def test_stalled_run_takes_no_further_step():
    """Nor does one that is resumed from a checkpoint of its last step."""
    loop = loop_for(max_steps=9, patience=2, evaluates=True)
    steps = 0
    for _ in loop.steps():
        steps += 1
        loop.progress.note_scores({"f1": 0.0}, None)
    assert steps == 3
    assert list(loop.steps()) == []


class NeverRead:
    """A copy of what a device has computed, which does not come."""

    is_here = False

    def __init__(self, values):
        pass


@pytest.mark.parametrize(
    "settings", [{}, {"accumulation_steps": 2}, {"packed_length": 128, "dropout": False}, {"head": "tokens"}]
)
def test_a_step_reads_nothing_from_its_device_and_mixes_it_with_no_other(settings, monkeypatch):
    """On PyTorch's device without memory a number that the host asks for, and a tensor of the CPU, are errors."""
    monkeypatch.setattr(Accelerator, "device", property(lambda _: torch.device("meta")))
    monkeypatch.setattr("qa.training.gradients.HostCopy", NeverRead)
    loop = loop_for(tiny.small(8), **({"batch_size": 4, "dropout": True} | settings))
    (step,) = loop.loader.load(loop.loader.epoch_steps(0)[:1])
    with masks_unasked():
        report = loop.step(step)
    assert (report.number, report.features) == (1, len(step.features))
    assert {tensor.device.type for batch in step.batches for tensor in batch.tensors()} == {"meta"}
    assert {parameter.device.type for parameter in loop.model.parameters()} == {"meta"}
