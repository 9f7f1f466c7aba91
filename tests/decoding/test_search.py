"""The searches against loops over all pairs of positions; then what happens where there is nothing to find."""

import numpy as np
import pytest
import torch
from hypothesis import example as with_example
from hypothesis import given, settings
from hypothesis import strategies as st

from qa.decoding.kept import NO_SPAN
from qa.decoding.search import best_spans, hf_parity_spans, null_logits

NONE = (NO_SPAN, NO_SPAN, -np.inf, -np.inf)
SEARCHES = pytest.mark.parametrize("search", [best_spans, hf_parity_spans])


# --- The oracles ---


def plain_best(start, end, in_context, *, k, max_tokens):
    """Scores of the k best of all valid pairs, best first."""
    scores = [
        np.float32(start[first]) + np.float32(end[last])
        for first in range(len(start))
        for last in range(first, min(first + max_tokens, len(start)))
        if in_context[first] and in_context[last]
    ]
    return sorted((score for score in scores if score > -np.inf), reverse=True)[:k]


def plain_hf_parity(start, end, in_context, *, k, max_tokens):
    """The published loop over one feature; tokens without an offset are those outside the context."""
    prelim_predictions = []
    start_indexes = np.argsort(start)[-1 : -k - 1 : -1].tolist()
    end_indexes = np.argsort(end)[-1 : -k - 1 : -1].tolist()
    for start_index in start_indexes:
        for end_index in end_indexes:
            if not in_context[start_index] or not in_context[end_index]:
                continue
            if end_index < start_index or end_index - start_index + 1 > max_tokens:
                continue
            prelim_predictions.append((start_index, end_index, float(start[start_index]), float(end[end_index])))
    return sorted(prelim_predictions, key=lambda found: np.float32(found[2]) + np.float32(found[3]), reverse=True)[:k]


def tensors(rows):
    start, end, in_context = zip(*rows, strict=True)
    return torch.tensor(start), torch.tensor(end), torch.tensor(in_context)


def found_rows(spans):
    """Per feature, the candidates as tuples."""
    columns = (column.tolist() for column in spans)
    return [list(zip(*row, strict=True)) for row in zip(*columns, strict=True)]


def one(search, start, end, in_context, *, k=3, max_tokens=10):
    """The candidates of one feature."""
    return found_rows(search(*tensors([(start, end, in_context)]), k=k, max_tokens=max_tokens))[0]


@st.composite
def features(draw, logits):
    """Some features of the same length, with logits drawn from `logits`."""
    tokens = draw(st.integers(1, 12))
    columns = (st.lists(values, min_size=tokens, max_size=tokens) for values in (logits, logits, st.booleans()))
    return draw(st.lists(st.tuples(*columns), min_size=1, max_size=4))


FEW_VALUES = st.sampled_from([-2.0, -0.5, 0.0, 0.5, 3.0])  # many ties
ANY_VALUES = FEW_VALUES | st.floats(-50, 50, width=32) | st.sampled_from([-np.inf, 1e30])


# --- Against the oracles ---


@settings(deadline=None, max_examples=300)
@given(features(FEW_VALUES) | features(ANY_VALUES), st.integers(1, 20), st.integers(1, 15))
@with_example([([0.0], [0.0], [True])], 20, 15)
@with_example([([0.0] * 5, [0.0] * 5, [True] * 5)], 15, 5)
def test_exact_search_finds_the_best_of_all_pairs(rows, k, max_tokens):
    found = found_rows(best_spans(*tensors(rows), k=k, max_tokens=max_tokens))
    for (start, end, in_context), spans in zip(rows, found, strict=True):
        assert len(spans) == k
        real = [span for span in spans if span != NONE]
        assert spans == real + [NONE] * (k - len(real))
        scores = [np.float32(span[2]) + np.float32(span[3]) for span in real]
        assert scores == plain_best(start, end, in_context, k=k, max_tokens=max_tokens)
        check_spans(real, start, end, in_context, max_tokens)


@settings(deadline=None, max_examples=200)
@given(
    features(FEW_VALUES) | features(ANY_VALUES),
    st.integers(1, 20),
    st.integers(1, 15),
    st.floats(-1.0, 1.0, width=32),
)
def test_a_cost_of_length_is_taken_off_the_end_logit_and_the_search_stays_exact(rows, k, max_tokens, cost):
    found = found_rows(best_spans(*tensors(rows), k=k, max_tokens=max_tokens, length_cost=cost))
    for (start, end, in_context), spans in zip(rows, found, strict=True):
        every = {
            (first, last): (
                np.float32(start[first]),
                np.float32(end[last]) - np.float32(cost) * np.float32(last - first),
            )
            for first in range(len(start))
            for last in range(first, min(first + max_tokens, len(start)))
            if in_context[first] and in_context[last]
        }
        wanted = sorted((score for one, other in every.values() if (score := one + other) > -np.inf), reverse=True)[:k]
        real = [span for span in spans if span != NONE]
        assert [np.float32(span[2]) + np.float32(span[3]) for span in real] == wanted
        assert all((span[2], span[3]) == every[span[:2]] for span in real)
        assert len({span[:2] for span in real}) == len(real)


def check_spans(spans, start, end, in_context, max_tokens):
    assert len({span[:2] for span in spans}) == len(spans)
    for first, last, start_logit, end_logit in spans:
        assert in_context[first]
        assert in_context[last]
        assert first <= last < first + max_tokens
        assert (start_logit, end_logit) == (np.float32(start[first]), np.float32(end[last]))


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(1, 20), st.integers(1, 30))
def test_hf_parity_search_finds_what_the_published_loop_finds(seed, tokens, k, max_tokens):
    rng = np.random.default_rng(seed)
    # No two logits are equal, and no two sums: the order of equals is not defined by the published sort.
    start, end = rng.normal(size=(2, 3, tokens)).astype(np.float32)
    in_context = rng.random((3, tokens)) < 0.7
    found = found_rows(
        hf_parity_spans(
            torch.from_numpy(start), torch.from_numpy(end), torch.from_numpy(in_context), k=k, max_tokens=max_tokens
        )
    )
    for row in range(3):
        wanted = plain_hf_parity(start[row], end[row], in_context[row], k=k, max_tokens=max_tokens)
        assert found[row] == wanted + [NONE] * (k - len(wanted))


@settings(deadline=None, max_examples=100)
@given(features(FEW_VALUES), st.integers(1, 20), st.integers(1, 15))
def test_hf_parity_candidates_are_valid_and_never_better_than_exact_ones(rows, k, max_tokens):
    inexact = found_rows(hf_parity_spans(*tensors(rows), k=k, max_tokens=max_tokens))
    exact = found_rows(best_spans(*tensors(rows), k=k, max_tokens=max_tokens))
    for row, ours, best in zip(rows, inexact, exact, strict=True):
        check_spans([span for span in ours if span != NONE], *row, max_tokens)
        assert all(a[2] + a[3] <= b[2] + b[3] for a, b in zip(ours, best, strict=True))


# --- Where there is little or nothing to find ---


@SEARCHES
def test_a_feature_with_fewer_valid_spans_than_k_is_filled_up(search):
    assert one(search, [1.0, 2.0], [3.0, 5.0], [True, False], k=4) == [(0, 0, 1.0, 3.0), NONE, NONE, NONE]


@SEARCHES
def test_a_feature_without_context_has_no_candidate(search):
    assert one(search, [1.0, 2.0], [3.0, 5.0], [False, False]) == [NONE] * 3


@SEARCHES
def test_a_span_is_at_most_max_tokens_long(search):
    start, end = [9.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 9.0]
    longest = [one(search, start, end, [True] * 4, k=16, max_tokens=limit)[0][:2] for limit in (1, 2, 3, 4, 99)]
    assert longest[2:] == [(0, 2), (0, 3), (0, 3)]
    assert all(last - first < limit for (first, last), limit in zip(longest, (1, 2, 3, 4, 99), strict=True))


def test_exact_search_is_not_led_astray_by_high_logits_outside_the_context():
    """The scripts take the 20 best before they mask question, special and padding tokens."""
    start = [100.0] * 30 + [1.0] * 10
    in_context = [False] * 30 + [True] * 10
    assert one(hf_parity_spans, start, start, in_context, k=20)[0] == NONE
    exact = one(best_spans, start, start, in_context, k=20)
    assert {span[2:] for span in exact} == {(1.0, 1.0)}


@SEARCHES
@pytest.mark.parametrize("broken", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["start", "end", "both"])
def test_logits_that_are_not_numbers_never_rank_first(search, broken, where):
    start, end = [0.0, 1.0, 2.0], [0.0, 1.0, 2.0]
    if where != "end":
        start[1] = broken
    if where != "start":
        end[1] = broken
    spans = one(search, start, end, [True] * 3, k=9)
    assert spans[0] == (2, 2, 2.0, 2.0)
    assert np.isfinite([span[2:] for span in spans if span != NONE]).all()
    assert NONE in spans


@SEARCHES
def test_a_feature_of_logits_that_are_not_numbers_has_no_candidate(search):
    assert one(search, [np.nan] * 3, [np.nan] * 3, [True] * 3) == [NONE] * 3
    assert one(search, [np.inf] * 3, [-np.inf] * 3, [True] * 3) == [NONE] * 3


@SEARCHES
def test_features_do_not_depend_on_the_batch_they_are_in(search):
    rng = torch.Generator().manual_seed(0)
    start, end = torch.randn(5, 20, generator=rng), torch.randn(5, 20, generator=rng)
    in_context = torch.rand(5, 20, generator=rng) < 0.8
    together = found_rows(search(start, end, in_context, k=6, max_tokens=4))
    padded = [torch.nn.functional.pad(tensor, (0, 12)) for tensor in (start, end, in_context)]
    alone = [
        found_rows(search(start[row : row + 1], end[row : row + 1], in_context[row : row + 1], k=6, max_tokens=4))[0]
        for row in range(5)
    ]
    assert together == alone
    if search is best_spans:
        assert found_rows(search(*padded, k=6, max_tokens=4)) == together


@SEARCHES
def test_candidates_are_float32_and_k_columns(search):
    spans = search(torch.zeros(2, 5), torch.zeros(2, 5), torch.ones(2, 5, dtype=torch.bool), k=50, max_tokens=3)
    assert [column.dtype for column in spans] == [torch.int64] * 2 + [torch.float32] * 2
    assert {column.shape for column in spans} == {(2, 50)}


# --- The null logits ---


def test_null_logits_are_read_where_each_feature_has_its_null_position():
    """The scripts read them at 0, also for models whose CLS is last."""
    start = torch.arange(6.0).view(2, 3)
    assert null_logits(start, start + 10, torch.tensor([0, 2])).tolist() == [[0.0, 10.0], [5.0, 15.0]]


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_null_logits_tell_that_any_logit_of_the_feature_is_not_a_number(broken):
    start, end = torch.zeros(3, 4), torch.zeros(3, 4)
    start[0, 3] = end[1, 1] = broken
    end[2, 2] = -torch.inf
    flags = null_logits(start, end, torch.zeros(3, dtype=torch.int64)).isnan()
    assert flags.tolist() == [[True, True], [True, True], [False, False]]
