"""Start and end logits → the k best spans of every feature, on the device where the logits are.

Pure functions of tensors: positions are columns of the padded row, spans are closed.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import max_pool1d, pad

NO_SPAN = -1
"""Position that fills up the candidates of a feature with fewer than k valid spans; their logits are −inf."""


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
) -> SpanCandidates:
    """Find the k valid spans with the largest sum of start and end logit, exactly.

    A span is valid if it lies in the context, does not end before it starts and has at most `max_tokens` tokens. Each
    of the k best spans begins at one of the k starts whose best span is largest, so only their spans are compared:
    k × `max_tokens` sums instead of one for every pair. Logits that are NaN or +inf count as −inf.

    Args:
        start_logits: float32, any device.
        end_logits: as `start_logits`.
        in_context: which tokens belong to the context.
        k: candidates per feature; positions are `NO_SPAN` and logits −inf where a feature has fewer valid spans.
        max_tokens: longest span, in tokens.

    """
    tokens = start_logits.shape[1]
    width = min(max_tokens, tokens)
    start, end = _only(start_logits, in_context), _only(end_logits, in_context)
    ends_from = pad(end, (0, width - 1), value=-torch.inf)
    best_end = max_pool1d(ends_from.unsqueeze(1), kernel_size=width, stride=1).squeeze(1)
    starts = (start + best_end).topk(min(k, tokens), dim=1).indices
    lasts = starts.unsqueeze(2) + torch.arange(width, device=start.device)
    start_logit = start.gather(1, starts).unsqueeze(2).expand(-1, -1, width)
    end_logit = ends_from.gather(1, lasts.flatten(1)).view(lasts.shape)
    candidates = starts.unsqueeze(2).expand(-1, -1, width), lasts, start_logit, end_logit
    return _best(SpanCandidates(*(values.flatten(1) for values in candidates)), k)


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
    first = starts.indices.unsqueeze(2).expand(-1, -1, taken).flatten(1)
    last = ends.indices.unsqueeze(1).expand(-1, taken, -1).flatten(1)
    start_logit = starts.values.unsqueeze(2).expand(-1, -1, taken).flatten(1)
    end_logit = ends.values.unsqueeze(1).expand(-1, taken, -1).flatten(1)
    valid = in_context.gather(1, first) & in_context.gather(1, last) & (first <= last) & (last - first < max_tokens)
    return _best(SpanCandidates(first, last, _only(start_logit, valid), _only(end_logit, valid)), k)


def null_logits(
    start_logits: Float[Tensor, "feature token"],
    end_logits: Float[Tensor, "feature token"],
    null_position: Int[Tensor, "feature"],
) -> Float[Tensor, "feature 2"]:
    """Return the start and end logit of "not in this window"; NaN where any logit of the feature is NaN or +inf."""
    at = null_position.unsqueeze(1)
    logits = torch.cat([start_logits.gather(1, at), end_logits.gather(1, at)], dim=1)
    broken = (_uncomparable(start_logits) | _uncomparable(end_logits)).any(dim=1, keepdim=True)
    return logits.masked_fill(broken, torch.nan)


def _only(logits: Float[Tensor, "feature some"], kept: Bool[Tensor, "feature some"]) -> Float[Tensor, "feature some"]:
    return logits.masked_fill(~kept | _uncomparable(logits), -torch.inf)


def _uncomparable(logits: Float[Tensor, "feature some"]) -> Bool[Tensor, "feature some"]:
    """Find NaN and +inf, which make sums NaN, and NaN ranks first."""
    return ~(logits < torch.inf)


def _best(spans: SpanCandidates, k: int) -> SpanCandidates:
    """Keep the k best of the given candidates, filled up with `NO_SPAN`."""
    missing = max(k - spans.first.shape[1], 0)
    first, last = (pad(positions, (0, missing), value=NO_SPAN) for positions in (spans.first, spans.last))
    start, end = (pad(logits, (0, missing), value=-torch.inf) for logits in (spans.start_logit, spans.end_logit))
    score, at = (start + end).topk(k, dim=1)
    none = score == -torch.inf
    return SpanCandidates(
        first.gather(1, at).masked_fill(none, NO_SPAN),
        last.gather(1, at).masked_fill(none, NO_SPAN),
        start.gather(1, at).masked_fill(none, -torch.inf),
        end.gather(1, at).masked_fill(none, -torch.inf),
    )
