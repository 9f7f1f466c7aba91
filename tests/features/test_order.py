"""The order of features and how they are cut, against plain counting; batches against `tokenizer.pad`."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import example as with_example
from hypothesis import given, settings
from hypothesis import strategies as st

from qa.batching import (
    PAD_MULTIPLE,
    Split,
    batch_loader,
    collate,
    epoch_order,
    evaluation_batches,
    micro_batches,
    share_of_batches,
    updates_per_epoch,
)
from qa.errors import ConfigError
from qa.features import build_features
from tests.support import tiny
from tests.support.windows import config, plain_labels, plain_windows

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
CPU = torch.device("cpu")


def split(processes=1, accumulation_steps=1, batch_size=4, process=0):
    return Split(process=process, processes=processes, accumulation_steps=accumulation_steps, batch_size=batch_size)


def random_lengths(count, seed=0):
    """Lengths as data sets have them: most are short, a few fill the window."""
    return np.minimum(np.random.default_rng(seed).lognormal(4.8, 0.6, count).astype(np.int64) + 20, 384)


def padded_share(lengths, batches):
    padded = sum(len(batch) * -(-int(lengths[batch].max()) // PAD_MULTIPLE) * PAD_MULTIPLE for batch in batches)
    return 1 - lengths[np.concatenate(batches)].sum() / padded


# --- Order ---


def test_order_is_a_function_of_seed_and_epoch_and_differs_between_them():
    lengths = random_lengths(500)

    def order(seed, epoch):
        torch.manual_seed(seed + 17 * epoch)  # no global generator takes part
        np.random.seed(epoch)  # noqa: NPY002
        return np.concatenate(epoch_order(lengths, seed=seed, epoch=epoch, updates=40)).tolist()

    assert order(1, 2) == order(1, 2)
    assert len({tuple(order(seed, epoch)) for seed in range(4) for epoch in range(4)}) == 16


@settings(deadline=None)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=300), st.data())
def test_every_feature_comes_once_an_epoch_in_updates_whose_sizes_differ_by_one_at_most(lengths, data):
    updates = data.draw(st.integers(1, len(lengths)))
    cut = epoch_order(np.array(lengths), seed=data.draw(st.integers(0, 5)), epoch=0, updates=updates)
    sizes = [len(update) for update in cut]
    assert len(cut) == updates
    assert sorted(np.concatenate(cut).tolist()) == list(range(len(lengths)))
    assert max(sizes) - min(sizes) <= 1
    for update in cut:
        assert sorted((lengths[at] for at in update), reverse=True) == [lengths[at] for at in update]


SPLITS = st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 6))


@settings(deadline=None)
@given(SPLITS, st.integers(1, 200))
@with_example((2, 2, 1), 5)  # one more feature than micro-batches of one feature
def test_no_micro_batch_is_empty_and_none_is_larger_than_asked_but_by_one(sizes, features):
    whole = split(*sizes)
    if features < whole.micro_batches:
        with pytest.raises(ConfigError, match=f"{features} training features; wanted at least {whole.micro_batches}"):
            updates_per_epoch(features, whole)
        return
    updates = updates_per_epoch(features, whole)
    counts = [
        len(part)
        for update in epoch_order(random_lengths(features), seed=0, epoch=0, updates=updates)
        for process in range(whole.processes)
        for part in micro_batches(update, split(*sizes, process=process))
    ]
    assert min(counts) >= 1
    assert max(counts) <= max(whole.batch_size, 2)
    assert updates <= -(-features // whole.global_batch)
    assert whole.batch_size == 1 or updates == -(-features // whole.global_batch)


@given(SPLITS, st.integers(0, 300))
def test_any_split_of_an_update_is_that_update_with_as_many_steps_on_every_process(sizes, extra):
    processes, accumulation_steps, _ = sizes
    update = np.arange(processes * accumulation_steps + extra)
    shares = [micro_batches(update, split(*sizes, process=process)) for process in range(processes)]
    assert {len(share) for share in shares} == {accumulation_steps}
    # Step by step, one process after the other, the parts follow each other: neighbours in length run side by side.
    assert np.concatenate([share[step] for step in range(accumulation_steps) for share in shares]).tolist() == (
        update.tolist()
    )
    counts = [len(part) for share in shares for part in share]
    assert max(counts) - min(counts) <= 1


def test_any_split_of_the_same_global_batch_trains_on_the_same_features_in_the_same_steps():
    lengths = random_lengths(205)
    plans = [(1, 1, 16), (1, 2, 8), (2, 1, 8), (2, 2, 4), (4, 1, 4), (1, 16, 1)]
    assert {updates_per_epoch(205, split(*plan)) for plan in plans if plan[2] > 1} == {13}
    orders = [epoch_order(lengths, seed=3, epoch=1, updates=13) for _ in plans]
    for plan, order in zip(plans, orders, strict=True):
        steps = [
            sorted(np.concatenate([part for p in range(plan[0]) for part in micro_batches(update, split(*plan, p))]))
            for update in order
        ]
        assert steps == [sorted(update) for update in orders[0]]


def test_padding_is_a_fraction_of_that_of_random_order_where_lengths_are_skewed():
    lengths = random_lengths(4000)
    ordered = epoch_order(lengths, seed=0, epoch=0, updates=250)
    shuffled = np.array_split(np.random.default_rng(0).permutation(4000), 250)
    assert padded_share(lengths, shuffled) > 0.4
    assert padded_share(lengths, ordered) < padded_share(lengths, shuffled) / 4
    halves = [part for update in ordered for part in micro_batches(update, split(1, 2, 8))]
    assert padded_share(lengths, halves) <= padded_share(lengths, ordered)
    assert padded_share(lengths, evaluation_batches(lengths, 16, CPU)) < 0.05


def test_updates_of_an_epoch_are_not_sorted_by_length():
    order = epoch_order(random_lengths(4000), seed=0, epoch=0, updates=250)
    longest = np.array([random_lengths(4000)[update].max() for update in order])
    ranks = longest.argsort().argsort()
    assert abs(np.corrcoef(ranks, np.arange(250))[0, 1]) < 0.3


# --- Evaluation ---


@given(st.lists(st.integers(1, 400), min_size=1, max_size=200), st.integers(1, 20), st.integers(1, 7))
def test_evaluation_batches_are_the_same_for_any_number_of_processes(lengths, batch_size, processes):
    batches = evaluation_batches(np.array(lengths), batch_size, torch.device("meta"))
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    assert [len(batch) for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)
    dealt = [share_of_batches(batches, process=process, processes=processes) for process in range(processes)]
    assert len({len(share) for share, _ in dealt}) == 1
    own = [tuple(batch) for share, count in dealt for batch in share[:count]]
    assert sorted(own) == sorted(tuple(batch) for batch in batches)
    known = {tuple(batch) for batch in batches}
    assert all(tuple(batch) in known for share, _ in dealt for batch in share)
    assert sum(len(share) - count for share, count in dealt) < processes


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=200), st.integers(1, 64))
def test_evaluation_batches_of_a_cpu_are_as_full_as_their_tokens_allow(lengths, batch_size):
    lengths = np.array(lengths)
    batches = evaluation_batches(lengths, batch_size, CPU)
    assert np.concatenate(batches).tolist() == np.argsort(-lengths, kind="stable").tolist()
    for batch, following in itertools.pairwise(batches):
        longest = lengths[batch].max()
        assert len(batch) == 1 or len(batch) * longest <= 1536
        assert len(batch) == batch_size or (len(batch) + 1) * longest > 1536
        assert lengths[following].max() <= longest


# --- Collation ---


def plain_batch(tokenizer, windows):
    """The tokenizer's own padding of its own windows."""
    rows = [
        {"input_ids": w["ids"], "token_type_ids": w["types"], "attention_mask": [1] * len(w["ids"])} for w in windows
    ]
    return tokenizer.pad(rows, padding="longest", pad_to_multiple_of=PAD_MULTIPLE, return_tensors="pt")


@pytest.mark.parametrize("family", tiny.FAMILIES)
@pytest.mark.parametrize(("max_length", "doc_stride"), [(60, 10), (384, 128)])
def test_batches_are_the_tokenizers_own_pairs_padded_by_the_tokenizer(family, max_length, doc_stride):
    tokenizer = tiny.fresh_tokenizer(family)
    rows = tiny.sample_rows("validation")[::25]
    rows = [row for row in rows if len(tokenizer(row["question"]).input_ids) <= 40]  # the others are capped
    features = build_features(tiny.examples(*rows), tokenizer, config(max_length, doc_stride, 40))
    windows, labels = [], []
    for row in rows:
        here = plain_windows(tokenizer, row, max_length=max_length, doc_stride=doc_stride)
        windows += here
        labels += plain_labels(tokenizer, row, here)
    chosen = np.random.default_rng(0).permutation(len(features))
    for indices in np.array_split(chosen, -(-len(chosen) // 7)):
        batch = collate(features, indices, input_names=INPUTS, pad_multiple=PAD_MULTIPLE)
        wanted = plain_batch(tokenizer, [windows[at] for at in indices])
        assert set(batch.inputs) == set(INPUTS)
        for name in INPUTS:
            assert torch.equal(batch.inputs[name], wanted[name])
        check_positions(batch, tokenizer, [windows[at] for at in indices], [labels[at] for at in indices])
        assert batch.feature.tolist() == indices.tolist()
        assert len(batch) == len(indices)


def check_positions(batch, tokenizer, windows, labels):
    rows, columns = batch.shape
    assert columns % PAD_MULTIPLE == 0
    assert columns - max(len(window["ids"]) for window in windows) < PAD_MULTIPLE
    assert batch.tokens == sum(len(window["ids"]) for window in windows) == int(batch.inputs["attention_mask"].sum())
    for row in range(rows):
        window, label = windows[row], labels[row]
        shift = columns - len(window["ids"]) if tokenizer.padding_side == "left" else 0
        assert batch.in_context[row].nonzero().flatten().tolist() == [shift + at for at in window["context"]]
        assert int(batch.context_begin[row]) == shift + window["context"][0]
        null = int(batch.null_position[row])
        assert batch.inputs["input_ids"][row, null] == tokenizer.cls_token_id
        assert null == (columns - 1 if tokenizer.padding_side == "left" else 0)
        here = (int(batch.label_first[row]), int(batch.label_last[row]))
        first = shift + window["context"][0]
        assert here == ((null, null) if label is None else (first + label[0], first + label[1]))


@pytest.mark.parametrize("family", ["bert", "xlnet"])
def test_a_model_that_pads_on_the_other_side_than_its_family_is_padded_there(family):
    tokenizer = tiny.fresh_tokenizer(family)
    tokenizer.padding_side = {"bert": "left", "xlnet": "right"}[family]
    row = tiny.sample_rows("validation")[0]
    features = build_features(tiny.examples(row, *tiny.small(3)), tokenizer, config())
    batch = collate(features, np.arange(len(features)), input_names=INPUTS, pad_multiple=PAD_MULTIPLE)
    window = plain_windows(tokenizer, row, max_length=384, doc_stride=128)[0]
    assert batch.inputs["input_ids"][0][batch.inputs["attention_mask"][0].bool()].tolist() == window["ids"]
    assert bool(batch.inputs["attention_mask"][:, 0].all()) == (family == "xlnet")


@pytest.mark.parametrize("names", [("input_ids",), ("input_ids", "attention_mask"), INPUTS])
def test_only_the_inputs_that_are_asked_for_are_there(names):
    features = build_features(tiny.small(), tiny.tokenizer(), config())
    assert tuple(collate(features, np.arange(3), input_names=names, pad_multiple=8).inputs) == names


def test_a_window_without_context_has_no_context_positions():
    examples = tiny.examples(tiny.example("Who?", ""), tiny.example("Who?", "Nantes", "Nantes"))
    features = build_features(examples, tiny.tokenizer(), config())
    batch = collate(features, np.arange(2), input_names=INPUTS, pad_multiple=8)
    assert batch.in_context.any(dim=1).tolist() == [False, True]
    assert batch.label_first[0] == batch.null_position[0]


@pytest.mark.parametrize("multiple", [1, 8, 64])
def test_padded_lengths_are_multiples(multiple):
    features = build_features(tiny.small(), tiny.tokenizer(), config())
    length = int(features.lengths[1])
    batch = collate(features, np.array([1]), input_names=INPUTS, pad_multiple=multiple)
    assert batch.shape == (1, -(-length // multiple) * multiple)


# --- Loading ---


def test_the_loader_gives_the_batches_in_their_order():
    features = build_features(tiny.sample("validation"), tiny.tokenizer(), config())
    batches = evaluation_batches(features.lengths, 16, CPU)
    loaded = list(batch_loader(features, batches, input_names=INPUTS, device=CPU))
    assert [batch.feature.tolist() for batch in loaded] == [batch.tolist() for batch in batches]
    alone = collate(features, batches[3], input_names=INPUTS, pad_multiple=PAD_MULTIPLE)
    assert torch.equal(loaded[3].inputs["input_ids"], alone.inputs["input_ids"])
    assert torch.equal(loaded[3].label_last, alone.label_last)
    assert loaded[3].tokens == alone.tokens


def test_the_loader_leaves_the_generator_that_dropout_depends_on_alone():
    features = build_features(tiny.small(), tiny.tokenizer(), config())
    before = torch.get_rng_state()
    list(batch_loader(features, [np.arange(6)], input_names=INPUTS, device=CPU))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_batch_on_another_device_has_all_its_tensors_there():
    features = build_features(tiny.small(), tiny.tokenizer(), config())
    batch = collate(features, np.arange(3), input_names=INPUTS, pad_multiple=8).to(torch.device("meta"))
    tensors = [value for value in [*vars(batch).values(), *batch.inputs.values()] if isinstance(value, torch.Tensor)]
    assert len(tensors) == 9
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert batch.tokens == int(features.lengths[:3].sum())
