"""Span logits and labels -> loss: the sum over the features of a batch, in nats.

Padding takes no part in any softmax, so that a feature's loss does not depend on the batch it is in.
"""

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax

from qa.config import RecipeConfig
from qa.features.collation import Batch

SpanLoss = Callable[[Tensor, Tensor, Batch], Tensor]
"""Start logits, end logits and batch -> the sum of the losses of the batch's features."""


def choose_loss(recipe: RecipeConfig) -> SpanLoss:
    """Return the loss that a recipe asks for."""
    if recipe.objective == "joint":
        return joint_span_loss
    return partial(smoothed_span_loss, smoothing=recipe.label_smoothing) if recipe.label_smoothing else span_loss


def span_loss(
    start_logits: Float[Tensor, "feature token"], end_logits: Float[Tensor, "feature token"], batch: Batch
) -> Float[Tensor, ""]:
    """Return the sum of the mean cross entropies of start and end, in float32 (Devlin et al., 2019)."""
    first, last, padding = _targets(batch)
    start, end = (logits.float().masked_fill(padding, -torch.inf) for logits in (start_logits, end_logits))
    return (cross_entropy(start, first, reduction="sum") + cross_entropy(end, last, reduction="sum")) / 2


def smoothed_span_loss(
    start_logits: Float[Tensor, "feature token"],
    end_logits: Float[Tensor, "feature token"],
    batch: Batch,
    *,
    smoothing: float,
) -> Float[Tensor, ""]:
    """Return `span_loss` with a share of every label spread evenly over its window (Szegedy et al., 2016)."""
    first, last, padding = _targets(batch)
    tokens = (~padding).sum(dim=1)
    losses = []
    for logits, label in ((start_logits, first), (end_logits, last)):
        log_share = log_softmax(logits.float().masked_fill(padding, -torch.inf), dim=1)
        hard = -log_share.gather(1, label.unsqueeze(1)).squeeze(1)
        even = -log_share.masked_fill(padding, 0.0).sum(dim=1) / tokens
        losses.append((1 - smoothing) * hard + smoothing * even)
    return torch.stack(losses).sum() / 2


def joint_span_loss(
    start_logits: Float[Tensor, "feature token"], end_logits: Float[Tensor, "feature token"], batch: Batch
) -> Float[Tensor, ""]:
    """Return the cross entropy of each label among all spans of its window, halved to the scale of `span_loss`.

    Spans are those of the search: from a token of the context to the same or a later one, and the null position for
    itself; their score is the sum of start and end logit (Fajcik et al., 2021, arXiv:2008.12804). Summing over all
    pairs takes linear time: ends are added up from the right.
    """
    first, last, _ = _targets(batch)
    start, end = start_logits.float(), end_logits.float()
    outside = ~batch.in_context
    ends_from = torch.logcumsumexp(end.masked_fill(outside, -torch.inf).flip(1), dim=1).flip(1)
    spans = (start.masked_fill(outside, -torch.inf) + ends_from).masked_fill(outside, -torch.inf)
    null = batch.null_position.unsqueeze(1)
    null_score = start.gather(1, null) + end.gather(1, null)
    total = torch.logsumexp(torch.cat([spans, null_score], dim=1), dim=1)
    score = start.gather(1, first.unsqueeze(1)) + end.gather(1, last.unsqueeze(1))
    return (total - score.squeeze(1)).sum() / 2


def _targets(batch: Batch) -> tuple[Int[Tensor, "feature"], Int[Tensor, "feature"], Bool[Tensor, "feature token"]]:
    """Return first and last token of every label, and which tokens are padding."""
    assert batch.label_first is not None, "batches to learn from have labels"
    assert batch.label_last is not None, "as above"
    return batch.label_first, batch.label_last, batch.inputs["attention_mask"] == 0
