"""The search over arrays against the one over tensors, which loops over all pairs are the oracle of."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qa.decoding import array_search, search
from qa.decoding.kept import NO_SPAN


@given(seed=st.integers(0, 10_000), k=st.integers(1, 30), max_tokens=st.integers(1, 12))
@pytest.mark.parametrize(
    ("name", "cost"),
    [("best_spans", {}), ("best_spans", {"length_cost": 0.3}), ("hf_parity_spans", {})],
)
def test_arrays_and_tensors_have_the_same_spans(name, cost, seed, k, max_tokens):
    random = np.random.default_rng(seed)
    features, tokens = random.integers(1, 4), random.integers(1, 20)
    # All different, so that no two spans score the same; some of what breaks sums besides.
    start, end = random.permutation(2 * features * tokens).reshape(2, features, tokens).astype(np.float32) ** 1.5
    start[random.random(start.shape) < 0.1] = -np.inf
    in_context = random.random(start.shape) < 0.7
    found = getattr(array_search, name)(start, end, in_context, k=k, max_tokens=max_tokens, **cost)
    tensors = map(torch.from_numpy, (start, end, in_context))
    wanted = getattr(search, name)(*tensors, k=k, max_tokens=max_tokens, **cost)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other.numpy())


@given(seed=st.integers(0, 10_000), k=st.integers(1, 30), cost=st.floats(-1.0, 1.0, width=32))
def test_ends_by_length_cost_the_same_as_ends_by_place(seed, k, cost):
    """A search over ends that depend on their starts, of ends that do not, in arrays and in tensors."""
    random = np.random.default_rng(seed)
    start, end = random.normal(size=(2, 3, 12)).astype(np.float32)
    in_context = random.random(start.shape) < 0.8
    masked = np.where(in_context, end, np.float32(-np.inf))
    padded = np.pad(masked, ((0, 0), (0, 4)), constant_values=-np.inf)
    ends = np.stack([padded[:, length : length + 12] for length in range(5)], axis=2)
    wanted = array_search.best_spans(start, end, in_context, k=k, max_tokens=5, length_cost=cost)
    found = array_search.best_conditional_spans(start, ends, in_context, k=k, length_cost=cost)
    again = search.best_conditional_spans(*map(torch.from_numpy, (start, ends, in_context)), k=k, length_cost=cost)
    for one, two, three in zip(wanted, found, again, strict=True):
        np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(one, three.numpy())


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_is_no_span_and_has_no_null_score(bad):
    start, end = np.array([[1, bad, 2]], np.float32), np.array([[3, 4, 5]], np.float32)
    found = array_search.best_spans(start, end, np.ones((1, 3), bool), k=5, max_tokens=2)
    assert found.first.tolist() == [[2, 0, 0, NO_SPAN, NO_SPAN]]
    assert np.isnan(array_search.null_logits(start, end, np.array([0]))).all()
    assert array_search.null_logits(end, end, np.array([1])).tolist() == [[4, 4]]


def test_shares_of_the_counted_tokens_add_up_to_one():
    logits, counted = np.array([[1, 2, 30]], np.float32), np.array([[True, True, False]])
    start = array_search.log_share(logits, counted)
    assert np.exp(start[counted]).sum() == pytest.approx(1)
    assert start[0, 1] - start[0, 0] == pytest.approx(1)
