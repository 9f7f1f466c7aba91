"""Ends given starts against loops over all pairs, in tensors and in arrays; then a whole search."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from qa.config import DecodingConfig
from qa.decoding import array_search, search
from qa.decoding.kept import NO_SPAN
from qa.decoding.spans import find_spans
from qa.features.collation import collate
from qa.features.windows import build_features
from tests.support import tiny
from tests.support.conditional import numbers, plain_log_shares, plain_spans
from tests.support.windows import config

CASES = {  # tokens, first of the context, one after its last, null position
    "null first": (12, 3, 11, 0),
    "null last": (12, 0, 9, 11),
    "one token": (5, 2, 3, 0),
    "no context": (4, 2, 2, 0),
}


def window(case, seed=0):
    tokens, begin, end, null = CASES[case]
    starts, ends = numbers(3, tokens, seed=seed)
    columns = torch.arange(tokens).expand(3, -1)
    return starts, ends, (columns >= begin) & (columns < end), torch.full((3,), null)


def both_ways(starts, ends, in_context, null, *, max_tokens):
    """Ends by length of tensors and of arrays."""
    parts = ends[..., 0], starts[..., 1:], ends[..., 1:], in_context, null
    arrays = array_search.conditional_ends(*(one.numpy() for one in parts), max_tokens=max_tokens)
    return search.conditional_ends(*parts, max_tokens=max_tokens), torch.from_numpy(arrays)


@pytest.mark.parametrize("pairs", [1, 50, 2**22], ids=["start by start", "some starts", "all at once"])
@pytest.mark.parametrize("max_tokens", [1, 4, 30])
@pytest.mark.parametrize("case", CASES)
def test_ends_are_those_of_the_loop(case, max_tokens, pairs, monkeypatch):
    monkeypatch.setattr(array_search, "PAIRS_AT_ONCE", pairs)
    given = window(case)
    tokens = given[0].shape[1]
    for found in both_ways(*given, max_tokens=max_tokens):
        assert found.shape == (3, tokens, min(max_tokens, tokens))
        wanted = torch.full_like(found, -torch.inf)
        for row in range(3):
            for (first, last), (_, share) in plain_spans(*(one[row].tolist() for one in given)).items():
                if last - first < max_tokens:
                    wanted[row, first, last - first] = share
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("max_tokens", [3, 12])
@pytest.mark.parametrize("k", [1, 5, 100])
@pytest.mark.parametrize("case", CASES)
def test_the_best_spans_are_the_best_of_all_pairs(case, k, max_tokens):
    for seed in range(4):
        given = window(case, seed)
        ends = both_ways(*given, max_tokens=max_tokens)
        start, inside = given[0][..., 0], given[2]
        tensors = search.best_conditional_spans(start, ends[0], inside, k=k)
        arrays = array_search.best_conditional_spans(start.numpy(), ends[1].numpy(), inside.numpy(), k=k)
        for row in range(3):
            every = plain_spans(*(one[row].tolist() for one in given))
            null = CASES[case][3]
            valid = {span: sum(of) for span, of in every.items() if span[0] != null and span[1] - span[0] < max_tokens}
            wanted = sorted(valid, key=valid.get, reverse=True)[:k]
            for found in (tensors, arrays):
                spans = list(zip(found.first[row].tolist(), found.last[row].tolist(), strict=True))
                assert spans == wanted + [(NO_SPAN, NO_SPAN)] * (k - len(wanted))
                for at, span in enumerate(wanted):
                    assert (float(found.start_logit[row, at]), float(found.end_logit[row, at])) == pytest.approx(
                        every[span], abs=1e-5
                    )


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("side", [0, 1], ids=["u", "v"])
def test_numbers_that_are_none_have_no_null_score(side, number, bad):
    given = window("null first")
    given[side][1, 5, number] = bad
    for found in both_ways(*given, max_tokens=4):
        start = given[0][..., 0]
        null = search.null_logits(start, found[..., 0], given[3])
        assert null.isnan().all(dim=1).tolist() == [False, True, False]
        assert null[0].tolist() == [float(start[0, 0]), 0.0]
        assert not search.best_conditional_spans(start, found, given[2], k=20).end_logit.isnan().any()


def test_products_are_of_full_precision_where_a_model_runs_in_half():
    given = window("null first")
    wanted, _ = both_ways(*given, max_tokens=4)
    with torch.autocast("cpu", torch.bfloat16):
        found, _ = both_ways(*given, max_tokens=4)
    assert torch.equal(found, wanted)


# --- a search over features ---


class Said(torch.nn.Module):
    """Numbers that depend on nothing but the token and its place in the window."""

    def __init__(self):
        super().__init__()
        self.tables = torch.randn(2, 997, 4, generator=torch.Generator().manual_seed(3))

    def forward(self, input_ids):
        at = (input_ids * 31 + torch.arange(input_ids.shape[1])) % 997
        return SimpleNamespace(start_logits=self.tables[0][at].flatten(1), end_logits=self.tables[1][at].flatten(1))


@pytest.fixture(scope="module")
def features():
    return build_features(tiny.small(12), tiny.tokenizer(), config(40, 4, 12))


def batch_of(features, rows, pad_multiple=8):
    return collate(features, np.array(rows), input_names=("input_ids",), pad_multiple=pad_multiple)


@pytest.mark.parametrize("pad_multiple", [8, 64])
def test_what_is_found_is_the_same_in_any_batches(pad_multiple, features):
    options = DecodingConfig(n_best=6, max_answer_tokens=5)
    every = np.arange(len(features))
    together = find_spans(Said(), [batch_of(features, every)], options, features=len(every))
    batches = [batch_of(features, rows, pad_multiple) for rows in np.array_split(every, 5)]
    apart = find_spans(Said(), batches, options, features=len(every))
    for name, column in vars(together).items():
        np.testing.assert_allclose(getattr(apart, name), column, rtol=1e-5, atol=1e-5)


def test_the_shares_of_all_spans_and_of_none_add_up_to_one(features):
    model, length = Said(), int(features.size.max())
    options = DecodingConfig(n_best=length * (length + 1) // 2, max_answer_tokens=length)
    for at in range(len(features)):
        batch = batch_of(features, [at])
        spans = find_spans(model, [batch], options, features=1, window_shares=True)
        found = {
            (first, last): one + other
            for first, last, one, other in zip(
                *(getattr(spans, name)[0].tolist() for name in ("first", "last", "start_logit", "end_logit")),
                strict=True,
            )
            if first != NO_SPAN
        }
        starts, ends = (
            side.reshape(batch.shape[1], -1).tolist() for side in vars(model(batch.inputs["input_ids"])).values()
        )
        null, origin = int(batch.null_position[0]), int(batch.context_begin[0])
        wanted = plain_log_shares(starts, ends, batch.in_context[0].tolist(), null)
        assert spans.null_logits[0].sum() == pytest.approx(wanted.pop((null, null)), abs=1e-4)
        assert found == pytest.approx({(a - origin, b - origin): share for (a, b), share in wanted.items()}, abs=1e-4)
        total = np.exp(list(found.values())).sum() + np.exp(spans.null_logits[0].sum())
        assert total == pytest.approx(1.0, abs=1e-4)
