"""Features of an example -> what somebody who looks at them wants to see."""

from dataclasses import dataclass

import numpy as np
from transformers import PreTrainedTokenizerBase

from qa.features.labels import Labels
from qa.features.windows import Features

Place = tuple[int, int]
"""Half-open, in characters of the context."""


@dataclass(frozen=True, kw_only=True)
class TokenView:
    """A context token of a window."""

    token: str
    """As the vocabulary has it."""
    place: Place


@dataclass(frozen=True, kw_only=True)
class WindowView:
    """One window of an example."""

    length: int
    """Tokens, those of the question and special ones included."""
    place: Place
    """What it holds of the context."""
    labels: tuple[Place, ...]
    """References that it holds whole and that are trained on; none: "no answer" is its label."""
    tokens: tuple[TokenView, ...]
    """Of the context."""


def windows_of(
    features: Features, labels: Labels | None, example: int, tokenizer: PreTrainedTokenizerBase
) -> list[WindowView]:
    """Return the windows of an example, in the order of its context.

    Args:
        features: of all examples.
        labels: of all features; None: none are known.
        example: row of the example.
        tokenizer: that made the features.

    """
    return [
        _window(features, labels, feature, tokenizer)
        for feature in np.flatnonzero(features.example == example).tolist()
    ]


def _window(features: Features, labels: Labels | None, feature: int, tokenizer: PreTrainedTokenizerBase) -> WindowView:
    size, first = int(features.size[feature]), int(features.first[feature])
    rows, every = np.full(size, feature), np.arange(size)
    begin, end = features.char_spans(rows, every, every)
    ids = features.context_ids[int(features.context_of[features.example[feature]])][first : first + size]
    names = tokenizer.convert_ids_to_tokens(ids.tolist())
    places = list(zip(begin.tolist(), end.tolist(), strict=True))
    return WindowView(
        length=int(features.lengths_of(np.array([feature]))[0]),
        place=(places[0][0], places[-1][1]) if places else (0, 0),
        labels=() if labels is None else _labels(features, labels, feature),
        tokens=tuple(TokenView(token=name, place=place) for name, place in zip(names, places, strict=True)),
    )


def _labels(features: Features, labels: Labels, feature: int) -> tuple[Place, ...]:
    own = slice(*labels.bounds[feature : feature + 2].tolist())
    first, last = labels.first[own], labels.last[own]
    begin, end = features.char_spans(np.full(len(first), feature), first, last)
    return tuple(zip(begin.tolist(), end.tolist(), strict=True))
