"""The same search as `search`, for the logits of readers that PyTorch does not run.

Arguments and results are those of the functions there, in NumPy's arrays. Of spans that score the same, the first is
kept.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int, Shaped
from numpy.lib.stride_tricks import sliding_window_view

from qa.decoding.kept import NO_SPAN

PAIRS_AT_ONCE = 2**22
"""Scores of pairs of tokens that are in memory at the same time, unless one start of every feature has more."""


class ArrayCandidates(NamedTuple):
    """The best spans of every feature, best first."""

    first: Int[np.ndarray, "feature k"]
    last: Int[np.ndarray, "feature k"]
    start_logit: Float32[np.ndarray, "feature k"]
    end_logit: Float32[np.ndarray, "feature k"]


def best_spans(
    start_logits: Float32[np.ndarray, "feature token"],
    end_logits: Float32[np.ndarray, "feature token"],
    in_context: Bool[np.ndarray, "feature token"],
    *,
    k: int,
    max_tokens: int,
    length_cost: float = 0.0,
) -> ArrayCandidates:
    """Find the k valid spans with the largest sum of start and end logit, less what their length costs, exactly."""
    tokens = start_logits.shape[1]
    width = min(max_tokens, tokens)
    start, end = _only(start_logits, in_context), _only(end_logits, in_context)
    ends_from = _wider(end, end.shape[1] + width - 1, -np.inf)
    ends, costs = sliding_window_view(ends_from, width, axis=1), _costs(width, length_cost)
    if not length_cost:
        return _from_best_starts(start, ends, ends.max(axis=2), costs, k)
    best_end = np.full_like(end, -np.inf)
    for length in range(width):  # one at a time: all at once are many times the logits
        np.maximum(best_end, ends_from[:, length : length + tokens] - costs[length], out=best_end)
    return _from_best_starts(start, ends, best_end, costs, k)


def best_conditional_spans(
    start_logits: Float32[np.ndarray, "feature token"],
    ends: Float32[np.ndarray, "feature token length"],
    in_context: Bool[np.ndarray, "feature token"],
    *,
    k: int,
    length_cost: float = 0.0,
) -> ArrayCandidates:
    """Find the same where an end's logit depends on the start."""
    ends, costs = np.where(ends < np.inf, ends, np.float32(-np.inf)), _costs(ends.shape[2], length_cost)
    return _from_best_starts(_only(start_logits, in_context), ends, (ends - costs).max(axis=2), costs, k)


def conditional_ends(
    end_logits: Float32[np.ndarray, "feature token"],
    u: Float32[np.ndarray, "feature token rank"],
    v: Float32[np.ndarray, "feature token rank"],
    in_context: Bool[np.ndarray, "feature token"],
    null_position: Int[np.ndarray, "feature"],
    *,
    max_tokens: int,
) -> Float32[np.ndarray, "feature token length"]:
    """Return log P(end | start) of every span, of a head of conditional ends."""
    features, tokens = end_logits.shape
    column, length = np.arange(tokens), np.arange(min(max_tokens, tokens))
    ends = np.full((features, tokens, len(length)), -np.inf, dtype=np.float32)
    for block in blocks_of_starts(features, tokens):
        start = column[block, None]
        valid = in_context[:, block, None] & in_context[:, None, :] & (column >= start)
        scores = np.where(valid, end_logits[:, None, :] + u[:, block] @ v.swapaxes(1, 2), np.float32(-np.inf))
        at = (start + length)[None]
        near = np.minimum(at, tokens - 1)
        exists = np.take_along_axis(valid, near, 2) & (at < tokens)
        ends[:, block] = np.where(exists, np.take_along_axis(_log_softmax(scores), near, 2), -np.inf)
    ends[np.arange(features), null_position, 0] = 0.0
    return ends


def blocks_of_starts(features: int, tokens: int) -> Iterator[slice]:
    """Yield the columns of starts whose ends are scored at once; which ones depends on the shape alone."""
    size = max(1, PAIRS_AT_ONCE // (features * tokens))
    return (slice(begin, begin + size) for begin in range(0, tokens, size))


def hf_parity_spans(
    start_logits: Float32[np.ndarray, "feature token"],
    end_logits: Float32[np.ndarray, "feature token"],
    in_context: Bool[np.ndarray, "feature token"],
    *,
    k: int,
    max_tokens: int,
) -> ArrayCandidates:
    """Find what the double loop over the k best starts and the k best ends of the well-known scripts finds."""
    starts, ends = _largest(start_logits, k), _largest(end_logits, k)
    start, end = (
        _only(np.take_along_axis(logits, at, 1), np.take_along_axis(in_context, at, 1))
        for logits, at in ((start_logits, starts), (end_logits, ends))
    )
    first, last = starts[:, :, None], ends[:, None, :]
    valid = (first <= last) & (last - first < max_tokens)
    flat = np.where(valid, start[:, :, None] + end[:, None, :], -np.inf).reshape(len(starts), -1)
    at, taken = _largest(flat, k), starts.shape[1]
    spans = ArrayCandidates(
        np.take_along_axis(starts, at // taken, 1),
        np.take_along_axis(ends, at % taken, 1),
        np.take_along_axis(start, at // taken, 1),
        np.take_along_axis(end, at % taken, 1),
    )
    return _filled(spans, np.take_along_axis(flat, at, 1), k)


def null_logits(
    start_logits: Float32[np.ndarray, "feature token"],
    end_logits: Float32[np.ndarray, "feature token"],
    null_position: Int[np.ndarray, "feature"],
) -> Float32[np.ndarray, "feature 2"]:
    """Return the start and end logit of "not in this window"; NaN where any logit of the feature is NaN or +inf."""
    rows = np.arange(len(null_position))
    logits = np.stack([start_logits[rows, null_position], end_logits[rows, null_position]], axis=1)
    highest = np.maximum(start_logits, end_logits).max(axis=1, keepdims=True)  # NaN, if any is
    return np.asarray(np.where(highest < np.inf, logits, np.nan), dtype=np.float32)


def log_share(
    logits: Float32[np.ndarray, "feature token"], counted: Bool[np.ndarray, "feature token"]
) -> Float32[np.ndarray, "feature token"]:
    """Return the logarithms of the softmax over the counted tokens of each row."""
    kept = np.where(counted, logits, np.float32(-np.inf))
    highest = kept.max(axis=1, keepdims=True)
    return np.asarray(logits - highest - np.log(np.exp(kept - highest).sum(axis=1, keepdims=True)))


def _from_best_starts(
    start: Float32[np.ndarray, "feature token"],
    ends: Float32[np.ndarray, "feature token length"],
    best_end: Float32[np.ndarray, "feature token"],
    costs: Float32[np.ndarray, "length"],
    k: int,
) -> ArrayCandidates:
    """Compare the spans of the k starts whose best span is largest: the k best are among them."""
    starts, width = _largest(start + best_end, k), ends.shape[2]
    kept = np.take_along_axis(ends, starts[:, :, None], 1) - costs
    flat = (np.take_along_axis(start, starts, 1)[:, :, None] + kept).reshape(len(start), -1)
    at = _largest(flat, k)
    first = np.take_along_axis(starts, at // width, 1)
    end = np.take_along_axis(kept.reshape(len(start), -1), at, 1)
    spans = ArrayCandidates(first, first + at % width, np.take_along_axis(start, first, 1), end)
    return _filled(spans, np.take_along_axis(flat, at, 1), k)


def _costs(lengths: int, length_cost: float) -> Float32[np.ndarray, "length"]:
    """Return what spans of 1, 2, … tokens lose."""
    return np.asarray(np.float32(length_cost) * np.arange(lengths, dtype=np.float32))


def _log_softmax(scores: Float32[np.ndarray, "feature start end"]) -> Float32[np.ndarray, "feature start end"]:
    """Return logarithms of shares over the last axis; NaN where all are −inf."""
    with np.errstate(invalid="ignore", divide="ignore"):
        less = scores - scores.max(axis=2, keepdims=True)
        return np.asarray(less - np.log(np.exp(less).sum(axis=2, keepdims=True)))


def _only(
    logits: Float32[np.ndarray, "feature some"], kept: Bool[np.ndarray, "feature some"]
) -> Float32[np.ndarray, "feature some"]:
    """Put −inf where a logit is not kept, and for NaN and +inf, which make sums NaN."""
    return np.where(kept & (logits < np.inf), logits, np.float32(-np.inf))


def _largest(scores: Float32[np.ndarray, "feature some"], k: int) -> Int[np.ndarray, "feature best"]:
    """Return the places of the k largest, or all, largest first; NaN, as in PyTorch, is larger than all."""
    return np.argsort(np.where(np.isnan(scores), -np.inf, -scores), axis=1, kind="stable")[:, :k]


def _filled(spans: ArrayCandidates, score: Float32[np.ndarray, "feature best"], k: int) -> ArrayCandidates:
    """Put `NO_SPAN` where the score is −inf, and fill up with it to `k`."""
    none = score == -np.inf
    first, last = (_wider(np.where(none, NO_SPAN, at), k, float(NO_SPAN)) for at in (spans.first, spans.last))
    start, end = (
        _wider(np.where(none, np.float32(-np.inf), logit), k, -np.inf) for logit in (spans.start_logit, spans.end_logit)
    )
    return ArrayCandidates(first, last, start, end)


def _wider(values: Shaped[np.ndarray, "row some"], width: int, filler: float) -> Shaped[np.ndarray, "row more"]:
    """Fill up rows on the right; `np.pad` takes a twentieth of a millisecond a call, which a single question feels."""
    found = np.full((len(values), width), filler, dtype=values.dtype)
    found[:, : values.shape[1]] = values
    return found
