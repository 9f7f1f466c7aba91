"""Run a model over batches and keep the best spans of every feature, or what else its head says."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from qa.config import DecodingConfig, Head
from qa.decoding.heads import longest_context
from qa.decoding.kept import NO_SPAN, FeatureSpans, Found, room_for
from qa.decoding.search import best_conditional_spans, best_spans, conditional_ends, hf_parity_spans, null_logits
from qa.decoding.tokens import keep_tokens
from qa.features.collation import Batch
from qa.features.joining import by_feature, by_token
from qa.features.windows import Features

TOKENS_AT_ONCE = 65_536  # to decode: enough to make the overhead of calls small, for a few megabytes at a time


class _Logits(NamedTuple):
    """The logits of some features, and what decoding has to know of them."""

    feature: Int[Tensor, "feature"]
    start_logits: Float[Tensor, "feature token"]
    end_logits: Float[Tensor, "feature token *length"]
    """With ends that depend on starts also by length; see `conditional_ends`."""
    in_context: Bool[Tensor, "feature token"]
    context_begin: Int[Tensor, "feature"]
    null_position: Int[Tensor, "feature"]


@torch.no_grad()
def decode(
    head: Head,
    model: Callable[..., Any],
    batches: Iterable[Batch],
    config: DecodingConfig,
    features: Features,
    *,
    count: int,
    window_shares: bool = False,
) -> Found:
    """Run batches through the model and keep of each feature what predictions are made of.

    Args:
        head: what the logits say.
        model: its output has `start_logits` and `end_logits`, `[row, token]` as its inputs, or with the head
            conditional more numbers of each token; see `qa.modeling.conditional_head`.
        batches: on the model's device.
        config: how to search.
        features: all of them.
        count: of the features that are in these batches.
        window_shares: see `find_spans`; not of the head tokens.

    """
    if head == "tokens":
        outputs = ((batch, model(**batch.inputs)) for batch in batches)
        return keep_tokens(outputs, features=count, width=longest_context(features))
    return find_spans(model, batches, config, features=count, window_shares=window_shares)


@torch.no_grad()
def find_spans(
    model: Callable[..., Any],
    batches: Iterable[Batch],
    config: DecodingConfig,
    *,
    features: int,
    window_shares: bool = False,
) -> FeatureSpans:
    """Run batches through the model and keep, of each feature, the best spans and the null logits.

    Small batches are decoded together, if they are of the same width: so no row is padded anew, and of spans that score
    the same the search keeps the same ones whatever batches come before. What is kept is written where it stays, so
    that at no time two copies are in memory.

    Not in inference mode, in which autocast would round the weights anew for every batch.

    Args:
        model: see `decode`.
        batches: on the model's device.
        config: how to search.
        features: of all batches together.
        window_shares: keep, in place of logits, the logarithms of their softmax over each window's context and null
            position: what the removed pipeline multiplied.

    """
    spans = room_for(features, config.n_best)
    filled = 0
    for raw in _of_one_width(_logits(model, batch, config) for batch in batches):
        logits = _log_shares(raw) if window_shares else raw
        rows = slice(filled, filled + len(logits.feature))
        for name, column in vars(_decoded(logits, config)).items():
            getattr(spans, name)[rows] = column
        filled = rows.stop
    return spans.at(slice(filled))


def _logits(model: Callable[..., Any], batch: Batch, config: DecodingConfig) -> _Logits:
    """Return the logits, those of padding lower than all (how much there is, is the batch's) unless they are NaN."""
    output = model(**batch.inputs)
    said = (by_feature(values.float(), batch) for values in (output.start_logits, output.end_logits))
    starts, ends = (by_token(values, batch) for values in said)
    start, end = starts[..., 0], ends[..., 0]
    if (padding := batch.padding) is not None:
        lowered = torch.zeros_like(start).masked_fill(padding, -torch.inf)
        start, end = start + lowered, end + lowered
    if ends.shape[2] > 1:
        places, most = (batch.in_context, batch.null_position), config.max_answer_tokens
        end = conditional_ends(end, starts[..., 1:], ends[..., 1:], *places, max_tokens=most)
    return _Logits(
        feature=batch.feature,
        start_logits=start,
        end_logits=end,
        in_context=batch.in_context,
        context_begin=batch.context_begin,
        null_position=batch.null_position,
    )


def _of_one_width(logits: Iterable[_Logits]) -> Iterator[_Logits]:
    """Join neighbours of the same width until there are enough tokens to decode at once."""
    for width, neighbours in itertools.groupby(logits, key=lambda one: one.in_context.shape[1]):
        group: list[_Logits] = []
        tokens = 0
        for one in neighbours:
            group.append(one)
            tokens += len(one.feature) * width
            if tokens >= TOKENS_AT_ONCE:
                yield _joined(group)
                group, tokens = [], 0
        if group:
            yield _joined(group)


def _joined(group: Sequence[_Logits]) -> _Logits:
    return _Logits(*(torch.cat(columns) for columns in zip(*group, strict=True)))


def _log_shares(logits: _Logits) -> _Logits:
    """Replace logits by the logarithms of their softmax over context and null position, which ends by length are."""
    counted = logits.in_context.scatter(1, logits.null_position.unsqueeze(1), value=True)

    def shares(one: Float[Tensor, "feature token"]) -> Float[Tensor, "feature token"]:
        return one - one.masked_fill(~counted, -torch.inf).logsumexp(dim=1, keepdim=True)

    start, end = logits.start_logits, logits.end_logits
    return logits._replace(start_logits=shares(start), end_logits=shares(end) if end.ndim == start.ndim else end)


def _decoded(logits: _Logits, config: DecodingConfig) -> FeatureSpans:
    start, end = logits.start_logits, logits.end_logits
    k, most, cost = config.n_best, config.max_answer_tokens, config.length_cost or 0.0
    if end.ndim > start.ndim:
        spans, end = best_conditional_spans(start, end, logits.in_context, k=k, length_cost=cost), end[..., 0]
    elif config.search == "exact":
        spans = best_spans(start, end, logits.in_context, k=k, max_tokens=most, length_cost=cost)
    else:
        spans = hf_parity_spans(start, end, logits.in_context, k=k, max_tokens=most)
    origin = logits.context_begin.unsqueeze(1)
    return FeatureSpans(
        feature=logits.feature.cpu().numpy(),
        first=_from_context(spans.first, origin),
        last=_from_context(spans.last, origin),
        start_logit=spans.start_logit.cpu().numpy(),
        end_logit=spans.end_logit.cpu().numpy(),
        null_logits=null_logits(start, end, logits.null_position).cpu().numpy(),
    )


def _from_context(position: Int[Tensor, "feature k"], origin: Int[Tensor, "feature 1"]) -> Int[np.ndarray, "feature k"]:
    """Count positions from the window's first context token instead of the row's first."""
    return torch.where(position == NO_SPAN, NO_SPAN, position - origin).cpu().numpy().astype(np.int32)
