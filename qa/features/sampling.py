"""Which windows are trained on: shorter ones round the reference, or fewer of those without it."""

from dataclasses import replace

import numpy as np

from qa.features.labels import Labels
from qa.features.windows import Features

_LEAST_ROOM = 8  # context tokens beside the longest question


def short_windows(
    features: Features, labels: Labels, *, max_length: int, seed: int, epoch: int
) -> tuple[Features, Labels]:
    """Cut every window to `max_length` tokens, at a random place that keeps its first label where there is one.

    The place is drawn evenly among all that hold the whole label, so that where it lies in the window says nothing. The
    cut is a function of (seed, epoch). Of further labels those stay that lie in what is left.

    Args:
        features: all, each of which stays one feature.
        labels: theirs.
        max_length: of question, context and special tokens together; questions stay whole, beside eight context tokens
            at least.
        seed: of the run.
        epoch: from 0.

    """
    question = features.question_ids.lengths[features.example]
    room = np.maximum(max_length - features.template.special_tokens - question, _LEAST_ROOM)
    size = np.minimum(features.size, room)
    labelled, first, last = labels.is_labelled, np.zeros_like(size), np.zeros_like(size)
    for column, spans in ((first, labels.first), (last, labels.last)):
        column[labelled] = spans[labels.bounds[:-1][labelled]]
    first, last = np.maximum(first, 0), np.minimum(last, features.size - 1)  # of what a window holds of a label
    lowest = np.where(labelled, np.maximum(last - size + 1, 0), 0)
    highest = np.where(labelled, np.minimum(first, features.size - size), features.size - size)
    random = np.random.default_rng([seed, epoch])
    fits = highest >= lowest  # not so where the label is longer than the room
    shift = random.integers(np.minimum(lowest, highest), np.where(fits, highest, lowest), endpoint=True)
    shift = np.where(fits, shift, np.minimum(first, features.size - size))
    begin = (features.first + shift).astype(np.int32)
    return replace(features, first=begin, size=size.astype(np.int32), key=""), labels.cut(shift, size)


def fewer_unlabelled(features: Features, labels: Labels, *, share: float, seed: int) -> tuple[Features, Labels]:
    """Keep a share of the windows without a label, drawn by `seed`; of every example at least one window is kept."""
    if share == 1.0:
        return features, labels
    kept = (np.random.default_rng(seed).random(len(features)) < share) | labels.is_labelled
    missing = np.setdiff1d(features.example, features.example[kept])
    kept[np.searchsorted(features.example, missing)] = True
    rows = np.flatnonzero(kept)
    chosen = replace(
        features, example=features.example[rows], first=features.first[rows], size=features.size[rows], key=""
    )
    return chosen, labels.of_features(rows)
