"""The batches of every step: every feature once an epoch; halved where memory runs out."""

import contextlib

import numpy as np
import pytest
import torch

from qa.errors import MemoryLimitError
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


@pytest.mark.parametrize(
    ("limit", "cut"), [(None, (1, 8)), (8, (1, 8)), (7, (2, 4)), (4, (2, 4)), (3, (4, 2)), (1, (8, 1))]
)
def test_batches_are_halved_until_memory_holds_them(limit, cut):
    loop = loop_for(tiny.small(16), batch_size=8)
    loop.progress.batch_limit = limit
    split = loop.loader.split
    assert (split.accumulation_steps, split.batch_size) == cut
    (step,) = loop.loader.load([np.arange(8)])
    assert [len(batch) for batch in step.batches] == [cut[1]] * cut[0]
    assert sorted(np.concatenate([batch.feature for batch in step.batches])) == list(range(8))


@pytest.mark.parametrize(("allowed", "size"), [(False, 8), (True, 1)])
def test_batches_that_may_not_or_cannot_be_halved_are_the_error(allowed, size):
    loop = loop_for(tiny.small(16), batch_size=8, auto_batch_size=allowed)
    loop.progress.batch_limit = size
    (step,) = loop.loader.load([np.arange(8)])
    error = MemoryLimitError("full")
    with pytest.raises(MemoryLimitError, match="full"):
        loop.loader.halve(step, error)
    assert loop.progress.batch_limit == size


@pytest.mark.parametrize(("length", "helps"), [(96, True), (512, False)])
def test_packed_batches_are_halved_as_long_as_that_makes_fewer_rows(length, helps):
    loop = loop_for(tiny.small(16), batch_size=8, auto_batch_size=True, packed_length=length)
    (step,) = loop.loader.load([np.arange(8)])
    assert (step.batches[0].shape[0] > 1) is helps
    with contextlib.nullcontext() if helps else pytest.raises(MemoryLimitError, match="full"):
        loop.loader.halve(step, MemoryLimitError("full"))
    assert loop.progress.batch_limit == (4 if helps else None)


def test_a_step_is_loaded_anew_where_batches_were_halved_meanwhile(caplog):
    loop = loop_for(tiny.small(16), batch_size=8, auto_batch_size=True, epochs=1.0)
    first, *others = [], []
    for step in loop.loader.remaining():
        if not first:
            loop.loader.halve(step, MemoryLimitError("full"))
            first = step.batches
        else:
            others.append(step.batches)
    assert [len(batch) for batch in first] == [4, 4]
    assert [len(batch) for batch in others[-1]] == [4, 4]
    assert "step 0: full; going on with halved batches" in caplog.text


def test_short_windows_are_those_of_the_first_steps():
    loop = loop_for(tiny.small(8), batch_size=4, epochs=2.0, recipe={"short_windows": 0.5, "short_length": 32})
    assert loop.plan.short_steps == 2
    assert loop.loader.windows_at(2)[0] is loop.features
    short, _ = loop.loader.windows_at(1)
    assert short.lengths.max() <= 32
    assert loop.loader.windows_at(0)[0] is short, "they are cut once an epoch"


@pytest.fixture
def graphs(monkeypatch):
    """The graphs that the compiler hands to its back end, which runs them as they are."""
    found, compile_module = [], torch.nn.Module.compile

    def counted(graph, _inputs):
        found.append(graph)
        return graph.forward

    monkeypatch.setattr(
        torch.nn.Module, "compile", lambda module, **options: compile_module(module, backend=counted, **options)
    )
    torch.compiler.reset()
    yield found
    torch.compiler.reset()


def test_a_compiled_encoder_is_one_graph_for_each_shape(graphs):
    """Ten features in batches of four, three times: of four and of two."""
    rows = tiny.small(10)
    options = {"batch_size": 4, "epochs": 3.0}
    losses = [report.loss for report in loop_for(rows, compile=True, **options).steps()]
    assert len(losses) == 9
    assert len(graphs) == 2
    plain = [report.loss for report in loop_for(rows, **options).steps()]
    assert losses == pytest.approx(plain, rel=1e-4)


def test_a_compiled_encoder_of_packed_rows_is_two_graphs_however_long_the_features_are(graphs):
    """One makes the masks. Rows come in multiples of four, and four hold any eight of these features."""
    rows = tiny.small(40)
    options = {"batch_size": 8, "epochs": 2.0, "packed_length": 128}
    loop = loop_for(rows, compile=True, **options)
    losses = [report.loss for report in loop.steps()]
    assert len({int(loop.features.lengths_of(step).sum()) for step in loop.loader.epoch_steps(0)}) > 2
    assert len(graphs) == 2
    assert losses == pytest.approx([report.loss for report in loop_for(rows, **options).steps()], rel=1e-4)
