"""The order of features and how they are cut, against plain counting."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import example as with_example
from hypothesis import given, settings
from hypothesis import strategies as st

from qa.errors import ConfigError
from qa.features.joining import PAD_MULTIPLE
from qa.features.order import (
    BatchSplit,
    epoch_order,
    evaluation_batches,
    micro_batches,
    share_of_batches,
    steps_per_epoch,
)

CPU = torch.device("cpu")


def split(processes=1, accumulation_steps=1, batch_size=4, process=0):
    return BatchSplit(
        process=process, processes=processes, accumulation_steps=accumulation_steps, batch_size=batch_size
    )


def random_lengths(count, seed=0):
    """Lengths as data sets have them: most are short, a few fill the window."""
    return np.minimum(np.random.default_rng(seed).lognormal(4.8, 0.6, count).astype(np.int64) + 20, 384)


def padded_share(lengths, batches):
    padded = sum(len(batch) * -(-int(lengths[batch].max()) // PAD_MULTIPLE) * PAD_MULTIPLE for batch in batches)
    return 1 - lengths[np.concatenate(batches)].sum() / padded


def test_order_is_a_function_of_seed_and_epoch_and_differs_between_them():
    lengths = random_lengths(500)

    def order(seed, epoch):
        torch.manual_seed(seed + 17 * epoch)  # no global generator takes part
        np.random.seed(epoch)  # noqa: NPY002
        return np.concatenate(epoch_order(lengths, seed=seed, epoch=epoch, steps=40)).tolist()

    assert order(1, 2) == order(1, 2)
    assert len({tuple(order(seed, epoch)) for seed in range(4) for epoch in range(4)}) == 16


@settings(deadline=None)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=300), st.data())
def test_every_feature_comes_once_an_epoch_in_steps_whose_sizes_differ_by_one_at_most(lengths, data):
    steps = data.draw(st.integers(1, len(lengths)))
    cut = epoch_order(np.array(lengths), seed=data.draw(st.integers(0, 5)), epoch=0, steps=steps)
    sizes = [len(step) for step in cut]
    assert len(cut) == steps
    assert sorted(np.concatenate(cut).tolist()) == list(range(len(lengths)))
    assert max(sizes) - min(sizes) <= 1
    for step in cut:
        assert sorted((lengths[at] for at in step), reverse=True) == [lengths[at] for at in step]


SPLITS = st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 6))


@settings(deadline=None)
@given(SPLITS, st.integers(1, 200))
@with_example((2, 2, 1), 5)  # one more feature than micro-batches of one feature
def test_no_micro_batch_is_empty_and_none_is_larger_than_asked_but_by_one(sizes, features):
    whole = split(*sizes)
    if features < whole.micro_batches:
        with pytest.raises(ConfigError, match=f"{features} training features; wanted at least {whole.micro_batches}"):
            steps_per_epoch(features, whole)
        return
    steps = steps_per_epoch(features, whole)
    counts = [
        len(part)
        for step in epoch_order(random_lengths(features), seed=0, epoch=0, steps=steps)
        for process in range(whole.processes)
        for part in micro_batches(step, split(*sizes, process=process))
    ]
    assert min(counts) >= 1
    assert max(counts) <= max(whole.batch_size, 2)
    assert steps <= -(-features // whole.global_batch)
    assert whole.batch_size == 1 or steps == -(-features // whole.global_batch)


@given(SPLITS, st.integers(0, 300))
def test_any_split_of_a_step_is_that_step_with_as_many_passes_on_every_process(sizes, extra):
    processes, accumulation_steps, _ = sizes
    step = np.arange(processes * accumulation_steps + extra)
    shares = [micro_batches(step, split(*sizes, process=process)) for process in range(processes)]
    assert {len(share) for share in shares} == {accumulation_steps}
    # Step by step, one process after the other, the parts follow each other: neighbours in length run side by side.
    assert np.concatenate([share[step] for step in range(accumulation_steps) for share in shares]).tolist() == (
        step.tolist()
    )
    counts = [len(part) for share in shares for part in share]
    assert max(counts) - min(counts) <= 1


def test_any_split_of_the_same_global_batch_trains_on_the_same_features_in_the_same_steps():
    lengths = random_lengths(205)
    plans = [(1, 1, 16), (1, 2, 8), (2, 1, 8), (2, 2, 4), (4, 1, 4), (1, 16, 1)]
    assert {steps_per_epoch(205, split(*plan)) for plan in plans if plan[2] > 1} == {13}
    orders = [epoch_order(lengths, seed=3, epoch=1, steps=13) for _ in plans]
    for plan, order in zip(plans, orders, strict=True):
        steps = [
            sorted(np.concatenate([part for p in range(plan[0]) for part in micro_batches(step, split(*plan, p))]))
            for step in order
        ]
        assert steps == [sorted(step) for step in orders[0]]


def test_padding_is_a_fraction_of_that_of_random_order_where_lengths_are_skewed():
    lengths = random_lengths(4000)
    ordered = epoch_order(lengths, seed=0, epoch=0, steps=250)
    shuffled = np.array_split(np.random.default_rng(0).permutation(4000), 250)
    assert padded_share(lengths, shuffled) > 0.4
    assert padded_share(lengths, ordered) < padded_share(lengths, shuffled) / 4
    halves = [part for step in ordered for part in micro_batches(step, split(1, 2, 8))]
    assert padded_share(lengths, halves) <= padded_share(lengths, ordered)
    assert padded_share(lengths, evaluation_batches(lengths, 16, "cpu")) < 0.05


def test_steps_of_an_epoch_are_not_sorted_by_length():
    order = epoch_order(random_lengths(4000), seed=0, epoch=0, steps=250)
    longest = np.array([random_lengths(4000)[step].max() for step in order])
    ranks = longest.argsort().argsort()
    assert abs(np.corrcoef(ranks, np.arange(250))[0, 1]) < 0.3


@given(st.lists(st.integers(1, 400), min_size=1, max_size=200), st.integers(1, 20), st.integers(1, 7))
def test_evaluation_batches_are_the_same_for_any_number_of_processes(lengths, batch_size, processes):
    batches = evaluation_batches(np.array(lengths), batch_size, "meta")
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    assert [len(batch) for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)
    dealt = [share_of_batches(batches, process=process, processes=processes) for process in range(processes)]
    assert len({len(share) for share, _ in dealt}) == 1
    own = [tuple(batch) for share, count in dealt for batch in share[:count]]
    assert sorted(own) == sorted(tuple(batch) for batch in batches)
    known = {tuple(batch) for batch in batches}
    assert all(tuple(batch) in known for share, _ in dealt for batch in share)
    assert sum(len(share) - count for share, count in dealt) < processes


@pytest.mark.parametrize(
    ("device", "tokens", "wanted"),
    [("cpu", None, 1536), ("meta", None, 32_768), ("cpu", 4000, 4000), ("meta", 600, 600)],
)
def test_evaluation_batches_hold_the_tokens_that_are_right_for_the_device_unless_told(device, tokens, wanted):
    lengths = random_lengths(3000)
    batches = evaluation_batches(lengths, None, device, tokens=tokens)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    for batch in batches[:-1]:
        assert len(batch) * lengths[batch].max() <= wanted < (len(batch) + 1) * lengths[batch].max()


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=200), st.integers(1, 64))
def test_evaluation_batches_of_a_cpu_are_as_full_as_their_tokens_allow(lengths, batch_size):
    lengths = np.array(lengths)
    batches = evaluation_batches(lengths, batch_size, "cpu")
    assert np.concatenate(batches).tolist() == np.argsort(-lengths, kind="stable").tolist()
    for batch, following in itertools.pairwise(batches):
        longest = lengths[batch].max()
        assert len(batch) == 1 or len(batch) * longest <= 1536
        assert len(batch) == batch_size or (len(batch) + 1) * longest > 1536
        assert lengths[following].max() <= longest


@given(st.lists(st.integers(1, 600), max_size=300), st.none() | st.integers(1, 9))
def test_mixed_batches_keep_the_order_and_are_as_full_as_their_tokens_allow(lengths, batch_size):
    lengths = np.array(lengths, dtype=np.int64)
    batches = evaluation_batches(lengths, batch_size, "cpu", mixed=True)
    assert [at for batch in batches for at in batch] == list(range(len(lengths)))
    for batch, following in itertools.pairwise(batches):
        assert len(batch) == 1 or lengths[batch].sum() <= 1536
        assert len(batch) == batch_size or lengths[batch].sum() + lengths[following[0]] > 1536


def test_mixed_steps_hold_every_feature_once_and_all_lengths():
    """So packed rows are full: long features leave room that short ones fill."""
    lengths = random_lengths(3200)
    steps = epoch_order(lengths, seed=1, epoch=0, steps=100, mixed=True)
    assert sorted(np.concatenate(steps).tolist()) == list(range(len(lengths)))
    assert {len(step) for step in steps} == {32}
    grouped = epoch_order(lengths, seed=1, epoch=0, steps=100)
    spread = [np.mean([lengths[step].std() for step in order]) for order in (steps, grouped)]
    assert spread[0] > 3 * spread[1]
    again = epoch_order(lengths, seed=1, epoch=0, steps=100, mixed=True)
    assert all((one == other).all() for one, other in zip(steps, again, strict=True))
