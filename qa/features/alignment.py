"""Windows and tokens of one tokenizer -> those of another over the same characters.

A start goes to the token that holds the character where the other token begins, an end to the one that holds its last
character: the rule by which references become labels.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Int

from qa.features.labels import References, reference_tokens, tokens_of_spans
from qa.features.pair_template import PairTemplate
from qa.features.windows import NO_TOKEN, Features


def windows_of_the_same_tokens(features: Features, template: PairTemplate) -> Features:
    """Return the features as a model with the same tokenizer reads them, which may join texts in another way."""
    return _rejoined(features, features, template)


def windows_of_the_same_characters(features: Features, others: Features) -> Features:
    """Return, for each feature, the window of another tokenizer over its characters.

    Args:
        features: of one tokenizer.
        others: of the same examples, made with the other one.

    """
    filled = features.size > 0
    last = np.maximum(features.size - 1, 0)
    begin, end = np.zeros((2, len(features)), dtype=np.int64)
    rows = np.flatnonzero(filled)
    begin[rows], end[rows] = features.char_spans(rows, np.zeros_like(last[rows]), last[rows])
    bounds = np.searchsorted(features.example, np.arange(len(features.question_ids) + 1))
    first, last = reference_tokens(References(begin, end, bounds), others)
    found = first != NO_TOKEN
    windows = replace(
        others,
        example=features.example,
        first=np.where(found, first, 0).astype(np.int32),
        size=np.where(found, last - first + 1, 0).astype(np.int32),
        key="",
    )
    return _rejoined(windows, others, others.template)


def _rejoined(windows: Features, like: Features, template: PairTemplate) -> Features:
    rejoined = replace(windows, template=template, key="")
    longest = int(rejoined.lengths.max(initial=0))
    return replace(rejoined, padded_to=max(longest, like.padded_to) if like.padded_to is not None else None)


def tokens_at_borders(
    features: Features, others: Features
) -> tuple[Int[np.ndarray, "token"], Int[np.ndarray, "token"]]:
    """Return the token of `features` that each context token of `others` begins in, and the one that it ends in.

    Tokens are counted from the begin of their context; `NO_TOKEN` for one without characters, or over white space.
    """
    context = np.repeat(np.arange(len(others.context_ids)), others.context_ids.lengths)
    first, last = tokens_of_spans(others.token_start, others.token_end, context, features)
    nowhere = others.token_start >= others.token_end
    return np.where(nowhere, NO_TOKEN, first), np.where(nowhere, NO_TOKEN, last)
