"""The loop: a loss that no batch changes, gradients that no split changes, one clock, and errors that stop it."""

import gc
import itertools
import math
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch.nn.functional import cross_entropy
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from qa.errors import ConfigError, NotFiniteError
from qa.features.collation import Batch, collate
from qa.features.order import BatchSplit
from qa.features.windows import build_features
from qa.modeling.attention import mask_without_asking
from qa.modeling.loss import span_loss
from qa.runtime.host_copy import HostCopy
from qa.training.progress import Progress
from tests.support import tiny
from tests.support.counters import reads_counted
from tests.support.trainers import WINDOWS, assert_same_weights, loop_for, plan_for, reader_of, scaled_loop, weights

STEADY = {"adam_epsilon": 1.0, "learning_rate": 0.1}
"""With a small epsilon Adam blows up the rounding errors of gradients that are almost zero."""


def batch_of(loop, indices, *, pad_multiple=8):
    return collate(
        loop.features,
        np.array(indices),
        input_names=loop.plan.input_names,
        pad_multiple=pad_multiple,
        labels=loop.loader.labels,
    )


# --- memory ---


def limited_memory(features):
    """A loss for which batches of more than so many features fail from the second on: by then there are gradients."""
    count = itertools.count()

    def limited(start, end, batch):
        if next(count) and len(batch) > features:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return span_loss(start, end, batch)

    return limited


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


# --- the loss ---


def test_loss_is_the_plain_mean_where_there_is_no_padding():
    torch.manual_seed(0)
    start, end = torch.randn(3, 7), torch.randn(3, 7)
    batch = Batch(
        inputs={"attention_mask": torch.ones(3, 7, dtype=torch.int64)},
        feature=torch.arange(3),
        in_context=torch.ones(3, 7, dtype=torch.bool),
        context_begin=torch.zeros(3, dtype=torch.int64),
        null_position=torch.zeros(3, dtype=torch.int64),
        label_first=torch.tensor([[0], [3], [6]]),
        label_last=torch.tensor([[0], [4], [6]]),
        tokens=21,
    )
    wanted = (cross_entropy(start, batch.label_first[:, 0]) + cross_entropy(end, batch.label_last[:, 0])) / 2
    torch.testing.assert_close(span_loss(start, end, batch) / 3, wanted)
    assert span_loss(start.half(), end.half(), batch).dtype == torch.float32


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


# --- splits ---


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


def test_every_epoch_sees_every_feature_once_in_another_order():
    loop = loop_for(tiny.small(20))
    first, second = (np.concatenate(loop.loader.epoch_steps(epoch)) for epoch in (0, 1))
    assert sorted(first) == sorted(second) == list(range(len(loop.features)))
    assert not np.array_equal(first, second)


def test_schedule_counts_optimizer_steps():
    """A scheduler that accelerate prepares advances once a process and also on skipped steps."""
    loop = loop_for(max_steps=4, schedule="linear", accumulation_steps=2)
    assert [report.learning_rate for report in loop.steps()] == pytest.approx([1e-3, 7.5e-4, 5e-4, 2.5e-4])


def test_features_fewer_than_forward_passes_are_refused():
    with pytest.raises(ConfigError, match="10 training features"):
        loop_for(accumulation_steps=11, batch_size=1)


def test_report_counts_tokens_and_padding():
    loop = loop_for(tiny.small(6), batch_size=6, max_steps=1)
    (report,) = loop.steps()
    lengths = loop.features.lengths
    assert report.tokens == lengths.sum()
    assert report.padded_tokens == 6 * (-(-lengths.max() // 8) * 8)
    assert report.features == 6
    assert report.overflows == 0
    assert report.seconds > 0


def test_compiling_pads_to_few_lengths(monkeypatch):
    monkeypatch.setattr(torch.nn.Module, "compile", lambda *_, **__: None)
    loop = loop_for(tiny.small(6), batch_size=6, max_steps=1, compile=True)
    (report,) = loop.steps()
    assert report.padded_tokens == 6 * 64


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
    mask_without_asking()
    steps = loop.steps()
    next(steps)  # fp16 reads the scale that it starts with
    with reads_counted() as reads:
        next(steps)
        next(steps)
    AttentionMaskInterface.register("sdpa", sdpa_mask)
    assert reads.count == 2 * wanted


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


# --- progress and cadence ---


def test_best_is_the_highest_of_the_chosen_score():
    progress = Progress()
    assert progress.note_scores({"exact": 10.0, "f1": 20.0}, None)
    assert not progress.note_scores({"exact": 30.0, "f1": 20.0}, None)
    assert progress.note_scores({"exact": 5.0, "f1": 20.5}, None)
    assert progress.best_score == 20.5
    exact = Progress()
    assert [exact.note_scores({"exact": value, "f1": 0.0}, "exact") for value in (1.0, 3.0, 2.0)] == [True, True, False]


def test_best_threshold_score_counts_with_unanswerable_questions():
    progress = Progress()
    progress.note_scores({"f1": 10.0, "best_f1": 50.0}, None)
    assert progress.best_score == 50.0


def test_score_of_zero_is_a_score():
    progress = Progress()
    assert progress.note_scores({"f1": 0.0}, None)
    assert not progress.note_scores({"f1": 0.0}, None)


def test_newest_model_is_the_best_without_references():
    progress = Progress()
    assert progress.note_scores(None, None)
    assert progress.note_scores(None, "f1")
    assert progress.best_score is None


def test_unknown_score_is_named_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"'exact_match'; wanted one of exact, f1"):
        Progress().note_scores({"exact": 1.0, "f1": 1.0}, "exact_match")


def test_run_stalls_after_patience_evaluations_without_a_better_score():
    progress = Progress()
    stalled = []
    for score in (5.0, 4.0, 6.0, 6.0, 5.0):
        progress.note_scores({"f1": score}, None)
        stalled.append(progress.has_stalled(2))
    assert stalled == [False, False, False, False, True]
    assert not progress.has_stalled(None)


def test_stalled_run_takes_no_further_step():
    """Nor does one that is resumed from a checkpoint of its last step."""
    loop = loop_for(max_steps=9, patience=2, evaluates=True)
    steps = 0
    for _ in loop.steps():
        steps += 1
        loop.progress.note_scores({"f1": 0.0}, None)
    assert steps == 3
    assert list(loop.steps()) == []


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
