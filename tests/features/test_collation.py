"""Batches against the tokenizer's own padding, and on other devices."""

import itertools

import numpy as np
import pytest
import torch

from qa.features.collation import collate
from qa.features.joining import NO_LABEL, PAD_MULTIPLE
from qa.features.labels import build_labels
from qa.features.windows import build_features
from tests.support import tiny
from tests.support.windows import config, plain_labels, plain_windows

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
CPU = torch.device("cpu")


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
    known = build_labels(tiny.examples(*rows), features)
    for row in rows:
        here = plain_windows(tokenizer, row, max_length=max_length, doc_stride=doc_stride)
        windows += here
        labels += plain_labels(tokenizer, row, here)
    chosen = np.random.default_rng(0).permutation(len(features))
    for indices in np.array_split(chosen, -(-len(chosen) // 7)):
        batch = collate(features, indices, input_names=INPUTS, pad_multiple=PAD_MULTIPLE, labels=known)
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
        ((first,), (last,)) = batch.label_first[row].tolist(), batch.label_last[row].tolist()
        here = (first, last)
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
    batch = collate(features, np.arange(3), input_names=names, pad_multiple=8)
    assert tuple(batch.inputs) == names
    assert batch.label_first is None


def test_a_window_without_context_has_no_context_positions():
    examples = tiny.examples(tiny.example("Who?", ""), tiny.example("Who?", "Nantes", "Nantes"))
    features = build_features(examples, tiny.tokenizer(), config())
    labels = build_labels(examples, features)
    batch = collate(features, np.arange(2), input_names=INPUTS, pad_multiple=8, labels=labels)
    assert batch.in_context.any(dim=1).tolist() == [False, True]
    assert batch.label_first[0].tolist() == [batch.null_position[0]]


def test_features_with_fewer_labels_than_others_are_filled_up():
    rows = [
        tiny.example("Which?", "one two three two", "two", ("two", 14), "one", "two"),
        tiny.example("Which?", "one two three", "three"),
        tiny.example("Which?", "one"),
    ]
    features = build_features(tiny.examples(*rows), tiny.tokenizer(), config())
    labels = build_labels(tiny.examples(*rows), features, every=True)
    batch = collate(features, np.array([2, 0, 1]), input_names=INPUTS, pad_multiple=8, labels=labels)
    begin, null = batch.context_begin.tolist(), batch.null_position.tolist()
    found = [
        {(first - begin[row], last - begin[row]) for first, last in zip(*spans, strict=True) if first != NO_LABEL}
        for row, spans in enumerate(zip(batch.label_first.tolist(), batch.label_last.tolist(), strict=True))
    ]
    wanted = [set(zip(labels.first[a:b], labels.last[a:b], strict=True)) for a, b in itertools.pairwise(labels.bounds)]
    assert found == [{(null[0] - begin[0],) * 2}, wanted[0], wanted[1]]
    assert batch.label_first.shape == (3, 3)
    assert ((batch.label_first == NO_LABEL) == (batch.label_last == NO_LABEL)).all()


@pytest.mark.parametrize("multiple", [1, 8, 64])
def test_padded_lengths_are_multiples(multiple):
    features = build_features(tiny.small(), tiny.tokenizer(), config())
    length = int(features.lengths[1])
    batch = collate(features, np.array([1]), input_names=INPUTS, pad_multiple=multiple)
    assert batch.shape == (1, -(-length // multiple) * multiple)


def test_a_batch_on_another_device_has_all_its_tensors_there():
    features = build_features(tiny.small(), tiny.tokenizer(), config())
    labels = build_labels(tiny.small(), features)
    batch = collate(features, np.arange(3), input_names=INPUTS, pad_multiple=8, labels=labels).to(torch.device("meta"))
    tensors = [value for value in [*vars(batch).values(), *batch.inputs.values()] if isinstance(value, torch.Tensor)]
    assert len(tensors) == 9
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert batch.tokens == int(features.lengths[:3].sum())


def test_a_batch_that_is_sent_in_one_piece_has_the_same_tensors():
    """A device without values stands for a GPU: shapes and types tell what was cut from the piece."""
    rows = tiny.small(3)
    features = build_features(rows, tiny.tokenizer(), config(60, 10, 40))
    labels = build_labels(rows, features)
    batch = collate(features, np.arange(3), input_names=INPUTS, pad_multiple=8, labels=labels)
    sent = batch.to(torch.device("meta"))
    for one, other in zip(batch.tensors(), sent.tensors(), strict=True):
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
    assert batch.to(CPU) is batch
