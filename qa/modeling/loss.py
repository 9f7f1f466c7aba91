"""Span logits and labels -> loss: the sum over the features of a batch, in nats.

Padding takes no part in any softmax, so that a feature's loss does not depend on the batch it is in. Of several labels
of a feature any is right: their probabilities are added up (Clark and Gardner, 2018).
"""

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from qa.config import Head, RecipeConfig
from qa.features.collation import Batch
from qa.features.joining import NO_LABEL, by_token
from qa.features.tags import BEGINS, ENDS

SpanLoss = Callable[[Tensor, Tensor, Batch], Tensor]
"""Start logits, end logits and batch -> the sum of the losses of the batch's features."""


def choose_loss(recipe: RecipeConfig, head: Head = "spans") -> SpanLoss:
    """Return the loss that a recipe asks for, of the given head."""
    if head != "spans":
        return token_loss if head == "tokens" else conditional_span_loss
    gold = _gold_loss(recipe)
    if not recipe.teacher:
        return gold
    return partial(distilled_loss, gold=gold, temperature=recipe.temperature, weight=recipe.teacher_weight)


def _gold_loss(recipe: RecipeConfig) -> SpanLoss:
    if recipe.objective == "joint":
        return joint_span_loss
    return partial(smoothed_span_loss, smoothing=recipe.label_smoothing) if recipe.label_smoothing else span_loss


def span_loss(
    start_logits: Float[Tensor, "feature token"], end_logits: Float[Tensor, "feature token"], batch: Batch
) -> Float[Tensor, ""]:
    """Return the sum of the mean cross entropies of start and end, in float32 (Devlin et al., 2019)."""
    padding = _padding(batch)
    return -_label_score(_log_share(start_logits, padding), _log_share(end_logits, padding), batch).sum() / 2


def token_loss(
    start_logits: Float[Tensor, "feature token"], end_logits: Float[Tensor, "feature token"], batch: Batch
) -> Float[Tensor, ""]:
    """Return the sum of the mean losses of the tokens that begin answers and of those that end them, in float32.

    Every token of a window's context is compared with its null position alone: those of answers are to be above it, all
    others below, where the highest of the wrong ones counts most. So it does not matter that nearly all tokens are in
    no answer (Su et al., 2022, arXiv:2208.02955; the null position as a threshold: Zhou et al., 2021).
    """
    assert batch.tags is not None, "batches to learn tokens from have tags"
    total = start_logits.new_zeros((), dtype=torch.float32)
    for logits, tag in ((start_logits, BEGINS), (end_logits, ENDS)):
        above_null = logits.float() - logits.float().gather(1, batch.null_position.unsqueeze(1))
        wanted = batch.in_context & ((batch.tags & tag) > 0)
        total = total + _log_one_and(above_null, batch.in_context & ~wanted) + _log_one_and(-above_null, wanted)
    return total / 2


def _log_one_and(values: Float[Tensor, "feature token"], counted: Bool[Tensor, "feature token"]) -> Float[Tensor, ""]:
    """Return the sum over features of log(1 + the sum of the exponentials of the counted values)."""
    one = values.new_zeros(len(values), 1)
    return torch.cat([one, values.masked_fill(~counted, -torch.inf)], dim=1).logsumexp(dim=1).sum()


def smoothed_span_loss(
    start_logits: Float[Tensor, "feature token"],
    end_logits: Float[Tensor, "feature token"],
    batch: Batch,
    *,
    smoothing: float,
) -> Float[Tensor, ""]:
    """Return `span_loss` with a share of every label spread evenly over its window (Szegedy et al., 2016)."""
    padding = _padding(batch)
    start, end = _log_share(start_logits, padding), _log_share(end_logits, padding)
    hard = _label_score(start, end, batch)
    even = (start + end).masked_fill(padding, 0.0).sum(dim=1) / (~padding).sum(dim=1)
    return -((1 - smoothing) * hard + smoothing * even).sum() / 2


def joint_span_loss(
    start_logits: Float[Tensor, "feature token"], end_logits: Float[Tensor, "feature token"], batch: Batch
) -> Float[Tensor, ""]:
    """Return the cross entropy of each label among all spans of its window, halved to the scale of `span_loss`.

    Spans are those of the search: from a token of the context to the same or a later one, and the null position for
    itself; their score is the sum of start and end logit (Fajcik et al., 2021, arXiv:2008.12804). Summing over all
    pairs takes linear time: ends are added up from the right.
    """
    start, end = start_logits.float(), end_logits.float()
    outside = ~batch.in_context
    ends_from = torch.logcumsumexp(end.masked_fill(outside, -torch.inf).flip(1), dim=1).flip(1)
    spans = (start.masked_fill(outside, -torch.inf) + ends_from).masked_fill(outside, -torch.inf)
    null = batch.null_position.unsqueeze(1)
    null_score = start.gather(1, null) + end.gather(1, null)
    total = torch.logsumexp(torch.cat([spans, null_score], dim=1), dim=1)
    return (total - _label_score(start, end, batch)).sum() / 2


def conditional_span_loss(
    start_logits: Float[Tensor, "feature number"], end_logits: Float[Tensor, "feature number"], batch: Batch
) -> Float[Tensor, ""]:
    """Return the cross entropies of start and of end given start, halved to the scale of `span_loss`, in float32.

    Their sum is that of each label among all spans of its window, as in `joint_span_loss`: from a token of the context
    to the same or a later one, and the null position for itself. Only the ends that may follow the labels' own starts
    are scored (Fajcik et al., 2021, arXiv:2008.12804; the scores are those of `qa.modeling.conditional_head`).
    """
    starts, ends = (by_token(values.float(), batch) for values in (start_logits, end_logits))
    first, last = _label_places(batch)
    share = _log_share(starts[..., 0], ~batch.in_context.scatter(1, batch.null_position.unsqueeze(1), value=True))
    begins = starts[..., 1:].gather(1, first.unsqueeze(2).expand(-1, -1, starts.shape[2] - 1))
    scores = ends[..., 0].unsqueeze(1) + begins @ ends[..., 1:].transpose(1, 2)
    column, own = torch.arange(ends.shape[1], device=ends.device), first.unsqueeze(2)
    follows = (column >= own) & batch.in_context.unsqueeze(1) & batch.in_context.gather(1, first).unsqueeze(2)
    given = _log_share(scores, ~(follows | (column == own))).gather(2, last.unsqueeze(2)).squeeze(2)
    return -_any_label(share.gather(1, first) + given, batch).sum() / 2


def distilled_loss(
    start_logits: Float[Tensor, "feature token"],
    end_logits: Float[Tensor, "feature token"],
    batch: Batch,
    *,
    gold: SpanLoss,
    temperature: float,
    weight: float,
) -> Float[Tensor, ""]:
    """Return the loss on the labels and, by `weight`, that on what teachers say."""
    taught = teacher_loss(start_logits, end_logits, batch, temperature=temperature)
    return (1 - weight) * gold(start_logits, end_logits, batch) + weight * taught


def teacher_loss(
    start_logits: Float[Tensor, "feature token"],
    end_logits: Float[Tensor, "feature token"],
    batch: Batch,
    *,
    temperature: float,
) -> Float[Tensor, ""]:
    """Return the sum of the mean divergences (Kullback and Leibler) of start and end from the teachers' probabilities.

    Over the context and the null position, with both sides at the same temperature, times its square, so that the
    gradient does not shrink with it (Hinton et al., 2015).
    """
    assert batch.teacher_start is not None, "with teachers, batches to learn from have their probabilities"
    assert batch.teacher_end is not None, "as above"
    counted = batch.in_context.scatter(1, batch.null_position.unsqueeze(1), value=True)
    total = start_logits.new_zeros((), dtype=torch.float32)
    for logits, wanted in ((start_logits, batch.teacher_start), (end_logits, batch.teacher_end)):
        share = (logits.float() / temperature).masked_fill(~counted, -torch.inf).log_softmax(dim=1)
        total = total + (torch.xlogy(wanted, wanted) - wanted * share.masked_fill(~counted, 0.0)).sum()
    return total * temperature**2 / 2


def _padding(batch: Batch) -> Bool[Tensor, "feature token"]:
    assert batch.padding is not None, "batches to learn from have an attention mask"
    return batch.padding


def _log_share(
    logits: Float[Tensor, "*row token"], excluded: Bool[Tensor, "*row token"]
) -> Float[Tensor, "*row token"]:
    return logits.float().masked_fill(excluded, -torch.inf).log_softmax(dim=-1)


def _label_score(
    start: Float[Tensor, "feature token"], end: Float[Tensor, "feature token"], batch: Batch
) -> Float[Tensor, "feature"]:
    first, last = _label_places(batch)
    return _any_label(start.gather(1, first) + end.gather(1, last), batch)


def _label_places(batch: Batch) -> tuple[Int[Tensor, "feature label"], Int[Tensor, "feature label"]]:
    """Return where labels begin and end; what fills them up is at the first token."""
    assert batch.label_first is not None, "batches to learn from have labels"
    assert batch.label_last is not None, "as above"
    return batch.label_first.clamp(min=0), batch.label_last.clamp(min=0)


def _any_label(scores: Float[Tensor, "feature label"], batch: Batch) -> Float[Tensor, "feature"]:
    """Return the log of the sum of the exponentials of all labels' scores: of a single label its score."""
    assert batch.label_first is not None, "as above"
    return scores.masked_fill(batch.label_first == NO_LABEL, -torch.inf).logsumexp(dim=1)
