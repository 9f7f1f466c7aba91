"""The k best spans of every feature, exactly, on the device where the logits are.

Pure functions of tensors: positions are columns of the padded row, spans are closed.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import max_pool1d, pad

from qa.decoding.array_search import blocks_of_starts
from qa.decoding.kept import NO_SPAN


class SpanCandidates(NamedTuple):
    """The best spans of every feature, best first."""

    first: Int[Tensor, "feature k"]
    last: Int[Tensor, "feature k"]
    start_logit: Float[Tensor, "feature k"]
    end_logit: Float[Tensor, "feature k"]


def best_spans(
    start_logits: Float[Tensor, "feature token"],
    end_logits: Float[Tensor, "feature token"],
    in_context: Bool[Tensor, "feature token"],
    *,
    k: int,
    max_tokens: int,
    length_cost: float = 0.0,
) -> SpanCandidates:
    """Find the k valid spans with the largest sum of start and end logit, less what their length costs, exactly.

    A span is valid if it lies in the context, does not end before it starts and has at most `max_tokens` tokens. Each
    of the k best spans begins at one of the k starts whose best span is largest, so only their spans are compared:
    k × `max_tokens` sums instead of one for every pair. Logits that are NaN or +inf count as −inf.

    Args:
        start_logits: float32, any device.
        end_logits: as `start_logits`.
        in_context: which tokens belong to the context.
        k: candidates per feature; positions are `NO_SPAN` and logits −inf where a feature has fewer valid spans.
        max_tokens: longest span, in tokens.
        length_cost: what a span loses for every token after its first; its end logit is returned less that.

    """
    tokens = start_logits.shape[1]
    width = min(max_tokens, tokens)
    start, end = _only(start_logits, in_context), _only(end_logits, in_context)
    ends_from = pad(end, (0, width - 1), value=-torch.inf)
    costs = _costs(width, length_cost, start)
    if length_cost:
        best_end = torch.full_like(end, -torch.inf)
        for length in range(width):  # one at a time: all at once are many times the logits
            best_end = torch.maximum(best_end, ends_from[:, length : length + tokens] - costs[length])
    else:
        best_end = max_pool1d(ends_from.unsqueeze(1), kernel_size=width, stride=1).squeeze(1)
    return _from_best_starts(start, ends_from.unfold(1, width, 1), best_end, costs, k)


def best_conditional_spans(
    start_logits: Float[Tensor, "feature token"],
    ends: Float[Tensor, "feature token length"],
    in_context: Bool[Tensor, "feature token"],
    *,
    k: int,
    length_cost: float = 0.0,
) -> SpanCandidates:
    """Find the same where an end's logit depends on the start: by start and length, as `conditional_ends` makes it."""
    start, ends = _only(start_logits, in_context), torch.where(ends < torch.inf, ends, -torch.inf)
    costs = _costs(ends.shape[2], length_cost, start)
    return _from_best_starts(start, ends, (ends - costs).amax(dim=2), costs, k)


def conditional_ends(
    end_logits: Float[Tensor, "feature token"],
    u: Float[Tensor, "feature token rank"],
    v: Float[Tensor, "feature token rank"],
    in_context: Bool[Tensor, "feature token"],
    null_position: Int[Tensor, "feature"],
    *,
    max_tokens: int,
) -> Float[Tensor, "feature token length"]:
    """Return log P(end | start) of every span: the share of its end among all ends of the context from its start on.

    Of a head of conditional ends (`qa.modeling.conditional_head`), for spans of up to `max_tokens` tokens: by column of
    the first token and length less one, −inf where there is none. That of the null position is 0: it ends where it
    begins. NaN where a number that counts is NaN or +inf.
    """
    features, tokens = end_logits.shape
    column, length = torch.arange(tokens, device=u.device), torch.arange(min(max_tokens, tokens), device=u.device)
    ends = end_logits.new_full((features, tokens, len(length)), -torch.inf)
    with torch.autocast(u.device.type, enabled=False):  # products of float32 in float32
        for block in blocks_of_starts(features, tokens):
            start = column[block].unsqueeze(1)
            scores = torch.baddbmm(end_logits.unsqueeze(1), u[:, block], v.transpose(1, 2))
            valid = in_context[:, block].unsqueeze(2) & in_context.unsqueeze(1) & (column >= start)
            shares = scores.masked_fill_(~valid, -torch.inf).log_softmax(dim=2)
            at = (start + length).unsqueeze(0)
            near = at.clamp(max=tokens - 1)
            exists = torch.take_along_dim(valid, near, dim=2) & (at < tokens)
            ends[:, block] = torch.take_along_dim(shares, near, dim=2).masked_fill_(~exists, -torch.inf)
    ends[torch.arange(features, device=u.device), null_position, 0] = 0.0
    return ends


def hf_parity_spans(
    start_logits: Float[Tensor, "feature token"],
    end_logits: Float[Tensor, "feature token"],
    in_context: Bool[Tensor, "feature token"],
    *,
    k: int,
    max_tokens: int,
) -> SpanCandidates:
    """Find what the double loop over the k best starts and the k best ends of the well-known scripts finds.

    The k starts and ends are taken before anything is excluded, so a feature can have no candidate although it has
    valid spans. Arguments and result are those of `best_spans`. Source: `utils_qa.py` of transformers' examples.
    """
    taken = min(k, start_logits.shape[1])
    starts, ends = start_logits.topk(taken, dim=1), end_logits.topk(taken, dim=1)
    first, last = starts.indices.unsqueeze(2), ends.indices.unsqueeze(1)
    start = _only(starts.values, in_context.gather(1, starts.indices)).unsqueeze(2)
    end = _only(ends.values, in_context.gather(1, ends.indices)).unsqueeze(1)
    valid = (first <= last) & (last - first < max_tokens)
    score, at = _best((start + end).masked_fill(~valid, -torch.inf), k)
    start_at, end_at = at // taken, at % taken
    spans = SpanCandidates(
        starts.indices.gather(1, start_at),
        ends.indices.gather(1, end_at),
        starts.values.gather(1, start_at),
        ends.values.gather(1, end_at),
    )
    return _filled(spans, score, k)


def null_logits(
    start_logits: Float[Tensor, "feature token"],
    end_logits: Float[Tensor, "feature token"],
    null_position: Int[Tensor, "feature"],
) -> Float[Tensor, "feature 2"]:
    """Return the start and end logit of "not in this window"; NaN where any logit of the feature is NaN or +inf."""
    at = null_position.unsqueeze(1)
    logits = torch.cat([start_logits.gather(1, at), end_logits.gather(1, at)], dim=1)
    highest = torch.maximum(start_logits, end_logits).amax(dim=1, keepdim=True)  # NaN, if any is
    return torch.where(highest < torch.inf, logits, torch.nan)


def _from_best_starts(
    start: Float[Tensor, "feature token"],
    ends: Float[Tensor, "feature token length"],
    best_end: Float[Tensor, "feature token"],
    costs: Float[Tensor, "length"],
    k: int,
) -> SpanCandidates:
    """Compare the spans of the k starts whose best span is largest: the k best are among them."""
    starts = (start + best_end).topk(min(k, start.shape[1]), dim=1).indices
    row, width = torch.arange(len(start), device=start.device).unsqueeze(1), ends.shape[2]
    kept = ends[row, starts] - costs
    score, at = _best(start.gather(1, starts).unsqueeze(2) + kept, k)
    first = starts.gather(1, at // width)
    spans = SpanCandidates(first, first + at % width, start.gather(1, first), kept.flatten(1).gather(1, at))
    return _filled(spans, score, k)


def _costs(lengths: int, length_cost: float, like: Float[Tensor, "feature token"]) -> Float[Tensor, "length"]:
    """Return what spans of 1, 2, … tokens lose."""
    return length_cost * torch.arange(lengths, dtype=like.dtype, device=like.device)


def _only(logits: Float[Tensor, "feature some"], kept: Bool[Tensor, "feature some"]) -> Float[Tensor, "feature some"]:
    """Put −inf where a logit is not kept, and for NaN and +inf, which make sums NaN, and NaN ranks first."""
    return torch.where(kept & (logits < torch.inf), logits, -torch.inf)


def _best(
    scores: Float[Tensor, "feature start end"], k: int
) -> tuple[Float[Tensor, "feature best"], Int[Tensor, "feature best"]]:
    """Return the k largest scores, or all where there are fewer, and their places among `start × end`."""
    every = scores.flatten(1)
    return every.topk(min(k, every.shape[1]), dim=1)


def _filled(spans: SpanCandidates, score: Float[Tensor, "feature best"], k: int) -> SpanCandidates:
    """Put `NO_SPAN` where the score is −inf, and fill up with it to `k`."""
    none = score == -torch.inf
    missing = (0, k - score.shape[1])
    first, last = (pad(at.masked_fill(none, NO_SPAN), missing, value=NO_SPAN) for at in (spans.first, spans.last))
    logits = (spans.start_logit, spans.end_logit)
    start, end = (pad(logit.masked_fill(none, -torch.inf), missing, value=-torch.inf) for logit in logits)
    return SpanCandidates(first, last, start, end)
