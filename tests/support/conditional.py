"""Ends that depend on starts, by loops over all pairs: the oracle of loss, search and readers."""

import math

import torch

from qa.modeling.conditional_head import add_conditional_head
from tests.support import tiny

RANK = 3


def plain_spans(starts, ends, in_context, null):
    """Start logit and log P(end | start) of every span of a window, and of its null position.

    `starts` and `ends` are, of every token, its logit and its u or v.
    """
    context = [at for at, inside in enumerate(in_context) if inside]
    found = {}
    for first in [*context, null]:
        possible = [null] if first == null else [last for last in context if last >= first]
        scores = {last: ends[last][0] + dot(starts[first][1:], ends[last][1:]) for last in possible}
        total = log_sum(scores.values())
        found |= {(first, last): (starts[first][0], score - total) for last, score in scores.items()}
    return found


def plain_log_shares(starts, ends, in_context, null):
    """log P(start, end) of the same."""
    spans = plain_spans(starts, ends, in_context, null)
    total = log_sum(logit for (first, last), (logit, _) in spans.items() if last == first)
    return {span: logit - total + given for span, (logit, given) in spans.items()}


def pair_scores(output, in_context, null):
    """What the only window of a batch scores for every pair of tokens that a span may have, and for its null."""
    start, end = (side[0].reshape(len(in_context), -1).tolist() for side in (output.start_logits, output.end_logits))
    if len(start[0]) > 1:
        return {span: sum(of) for span, of in plain_spans(start, end, in_context, null).items()}
    return {(first, last): start[first][0] + end[last][0] for first in range(len(start)) for last in range(len(end))}


def dot(one, other):
    return sum(a * b for a, b in zip(one, other, strict=True))


def log_sum(values):
    values = list(values)
    highest = max(values)
    return highest + math.log(sum(math.exp(value - highest) for value in values))


def numbers(features, tokens, *, seed=0, rank=RANK):
    """What a head might say, `[side, feature, token, 1 + rank]`."""
    random = torch.Generator().manual_seed(seed)
    return torch.randn(2, features, tokens, 1 + rank, generator=random) * 1.5


def trained_head(model, seed=5):
    """Let v be something too, as after training; returns the model."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if not name.startswith(f"{model.base_model_prefix}."):
                weight.normal_(std=0.3, generator=torch.Generator().manual_seed(seed))
    return model


def conditional_model(family="bert", **settings):
    model = tiny.model(family, **settings)
    add_conditional_head(model)
    return trained_head(model)
