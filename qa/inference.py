"""A reader over batches: inputs → logits → spans of features. What evaluation and predictor share; no accelerate."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from qa.answers import FeatureSpans
from qa.batching import Batch
from qa.config import DecodingConfig
from qa.decoding import NO_SPAN, best_spans, hf_parity_spans, null_logits
from qa.errors import IncompleteError, NotFiniteError
from qa.features import Features

_TOKENS_AT_ONCE = 65_536  # to decode: enough to make the overhead of calls small, for a few megabytes at a time


class _Read(NamedTuple):
    """What the model said of some features, and what decoding has to know of them."""

    feature: Int[Tensor, "feature"]
    start_logits: Float[Tensor, "feature token"]
    end_logits: Float[Tensor, "feature token"]
    in_context: Bool[Tensor, "feature token"]
    context_begin: Int[Tensor, "feature"]
    null_position: Int[Tensor, "feature"]


@torch.no_grad()
def find_spans(model: nn.Module, batches: Iterable[Batch], config: DecodingConfig, *, features: int) -> FeatureSpans:
    """Run batches through the model and keep, of each feature, the best spans and the null logits.

    Small batches are decoded together, if they are of the same width: so no row is padded anew, and of spans that score
    the same the search keeps the same ones whatever batches come before. What is kept is written where it stays, so
    that at no time two copies are in memory.

    Not in inference mode, in which autocast would round the weights anew for every batch.

    Args:
        model: gives `start_logits` and `end_logits`, `[feature, token]`.
        batches: on the model's device.
        config: how to search.
        features: of all batches together.

    """
    spans = _room_for(features, config.n_best)
    filled = 0
    for read in _of_one_width(_read(model, batch) for batch in batches):
        rows = slice(filled, filled + len(read.feature))
        for name, column in vars(_decoded(read, config)).items():
            getattr(spans, name)[rows] = column
        filled = rows.stop
    return spans.at(slice(filled))


def _room_for(features: int, candidates: int) -> FeatureSpans:
    return FeatureSpans(
        feature=np.empty(features, dtype=np.int64),
        first=np.empty((features, candidates), dtype=np.int32),
        last=np.empty((features, candidates), dtype=np.int32),
        start_logit=np.empty((features, candidates), dtype=np.float32),
        end_logit=np.empty((features, candidates), dtype=np.float32),
        null_logits=np.empty((features, 2), dtype=np.float32),
    )


def _read(model: nn.Module, batch: Batch) -> _Read:
    output = model(**batch.inputs)
    return _Read(
        feature=batch.feature,
        start_logits=output.start_logits.float(),
        end_logits=output.end_logits.float(),
        in_context=batch.in_context,
        context_begin=batch.context_begin,
        null_position=batch.null_position,
    )


def _of_one_width(read: Iterable[_Read]) -> Iterator[_Read]:
    """Join neighbours of the same width until there are enough tokens to decode at once."""
    for width, neighbours in itertools.groupby(read, key=lambda one: one.in_context.shape[1]):
        group: list[_Read] = []
        tokens = 0
        for one in neighbours:
            group.append(one)
            tokens += len(one.feature) * width
            if tokens >= _TOKENS_AT_ONCE:
                yield _joined(group)
                group, tokens = [], 0
        if group:
            yield _joined(group)


def _joined(group: Sequence[_Read]) -> _Read:
    return _Read(*(torch.cat(columns) for columns in zip(*group, strict=True)))


def _decoded(read: _Read, config: DecodingConfig) -> FeatureSpans:
    search = best_spans if config.search == "exact" else hf_parity_spans
    start, end = read.start_logits, read.end_logits
    spans = search(start, end, read.in_context, k=config.n_best, max_tokens=config.max_answer_tokens)
    origin = read.context_begin.unsqueeze(1)
    return FeatureSpans(
        feature=read.feature.cpu().numpy(),
        first=_from_context(spans.first, origin),
        last=_from_context(spans.last, origin),
        start_logit=spans.start_logit.cpu().numpy(),
        end_logit=spans.end_logit.cpu().numpy(),
        null_logits=null_logits(start, end, read.null_position).cpu().numpy(),
    )


def _from_context(position: Int[Tensor, "feature k"], origin: Int[Tensor, "feature 1"]) -> Int[np.ndarray, "feature k"]:
    """Count positions from the window's first context token instead of the row's first."""
    return torch.where(position == NO_SPAN, NO_SPAN, position - origin).cpu().numpy().astype(np.int32)


def check_complete(found: Int[np.ndarray, "found"], features: int) -> None:
    """Check that every feature came back exactly once.

    Raises:
        IncompleteError: naming the first features that are missing or there more than once.

    """
    counts = np.bincount(found, minlength=features)
    if len(counts) != features or (counts != 1).any():
        wrong = np.flatnonzero(counts != 1)[:5]
        detail = ", ".join(f"feature {at} came {counts[at]} times" for at in wrong)
        raise IncompleteError(f"{len(found)} features came back; wanted each of {features} once: {detail}")


def check_numbers(spans: FeatureSpans, features: Features, ids: Sequence[str]) -> None:
    """Check that no logit is not a number, or +inf.

    Raises:
        NotFiniteError: naming the first examples with such logits.

    """
    broken = np.isnan(spans.null_logits).any(axis=1)  # which says so of all logits of a feature
    if broken.any():
        named = dict.fromkeys(features.example[spans.feature[broken]].tolist())
        first = ", ".join(repr(ids[row]) for row in list(named)[:5])
        raise NotFiniteError(f"logits of {int(broken.sum())} features are not numbers; the first examples: {first}")
