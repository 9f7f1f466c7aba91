"""Features in rows of one length: each whole, alone in its place, and found again."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa.config import TrainingConfig
from qa.features.collation import collate
from qa.features.joining import INPUTS, by_feature, join
from qa.features.labels import build_labels
from qa.features.packing import Packing, emptiest_fit
from qa.features.windows import build_features
from tests.support import tiny
from tests.support.windows import config

LENGTH = 24
WINDOWS = config(24, 8, 6)
SIZES = st.lists(st.integers(1, LENGTH), min_size=1, max_size=40)


@given(SIZES)
def test_every_feature_has_a_place_of_its_own(sizes):
    row, begin = emptiest_fit(np.array(sizes), LENGTH)
    taken = [
        (at, token) for at, first, size in zip(row, begin, sizes, strict=True) for token in range(first, first + size)
    ]
    assert len(set(taken)) == len(taken)
    assert all(token < LENGTH for _, token in taken)
    assert set(row) == set(range(max(row) + 1))


@given(SIZES)
def test_rows_are_less_than_twice_as_many_as_the_tokens_need(sizes):
    """Two rows, one begun after the other, have more tokens together than one takes."""
    row, _ = emptiest_fit(np.array(sizes), LENGTH)
    filled = np.bincount(row, weights=sizes)
    assert all(one + other > LENGTH for one, other in itertools.pairwise(filled))


def test_rows_are_filled_in_an_order_that_sizes_decide():
    row, begin = emptiest_fit(np.array([5, 12, 20, 5]), 24)
    assert row.tolist() == [1, 1, 0, 1]
    assert begin.tolist() == [12, 0, 0, 17]


def features_and_labels(family="bert"):
    rows = tiny.small(9)
    features = build_features(rows, tiny.tokenizer(family), WINDOWS)
    return features, build_labels(rows, features)


@pytest.mark.parametrize("family", tiny.FAMILIES)
@pytest.mark.parametrize("packing", [Packing(length=24), Packing(length=56), Packing(length=56, row_multiple=4)])
def test_packed_rows_hold_the_tokens_of_every_feature_one_after_the_other(family, packing):
    features, labels = features_and_labels(family)
    every = np.arange(len(features))
    arguments = {"input_names": INPUTS, "pad_multiple": 8, "labels": labels}
    padded, packed = (collate(features, every, **arguments, packing=one) for one in (None, packing))
    assert packed.shape[1] == packing.length
    assert packed.shape[0] % packing.row_multiple == 0
    free = np.ones(packed.shape, dtype=bool)
    for at in every:
        inside = padded.inputs["attention_mask"][at] == 1
        row, column = divmod(int(packed.place[at][inside][0]), packing.length)
        place = slice(column, column + int(inside.sum()))
        assert free[row, place].all()
        free[row, place] = False
        for name in ("input_ids", "token_type_ids", "global_attention_mask"):
            assert packed.inputs[name][row, place].tolist() == padded.inputs[name][at][inside].tolist()
        assert packed.inputs["attention_mask"][row, place].tolist() == [at + 1] * int(inside.sum())
    assert (packed.inputs["attention_mask"].numpy()[free] == 0).all()
    assert (packed.inputs["input_ids"].numpy()[free] == features.template.pad_id).all()


def test_all_but_the_inputs_is_by_feature():
    features, labels = features_and_labels()
    indices = np.array([7, 2, 4])
    arguments = {"input_names": INPUTS, "pad_multiple": 8, "labels": labels}
    padded = collate(features, indices, **arguments)
    packed = collate(features, indices, **arguments, packing=Packing(length=80))
    for name in ("feature", "in_context", "context_begin", "null_position", "label_first", "label_last", "padding"):
        assert getattr(packed, name).tolist() == getattr(padded, name).tolist()
    assert packed.tokens == padded.tokens
    assert len(packed) == 3
    assert packed.shape == (1, 80)


@pytest.mark.parametrize("numbers", [1, 3])
def test_what_is_said_of_tokens_comes_back_to_their_features(numbers):
    features, _ = features_and_labels()
    every = np.arange(len(features))
    names = ("input_ids", "attention_mask")
    padded = join(features, every, input_names=names, pad_multiple=8)
    packed = collate(features, every, input_names=names, pad_multiple=8, packing=Packing(length=40))

    def said(ids):  # of each token what it is, so many times
        return np.repeat(np.asarray(ids)[:, :, None], numbers, axis=2).reshape(len(ids), -1)

    found = by_feature(said(packed.inputs["input_ids"]), packed).reshape(*padded.in_context.shape, numbers)
    inside = padded.inputs["attention_mask"] == 1
    assert (found[inside] == padded.inputs["input_ids"][inside][:, None]).all()


def test_what_is_said_of_rows_that_are_not_packed_stays():
    features, _ = features_and_labels()
    rows = join(features, np.arange(3), input_names=INPUTS, pad_multiple=8)
    said = rows.inputs["input_ids"]
    assert by_feature(said, rows) is said


def test_a_run_packs_where_it_is_asked_to_and_into_few_shapes_where_it_compiles():
    assert Packing.of(TrainingConfig()) is None
    assert Packing.of(TrainingConfig(packed_length=512)) == Packing(length=512)
    assert Packing.of(TrainingConfig(packed_length=512, compile=True)) == Packing(length=512, row_multiple=4)
