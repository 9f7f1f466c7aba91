"""Labels of some windows -> a tag for every token of their padded rows: the first of an answer, its last, or both."""

import numpy as np
from jaxtyping import Int

from qa.features.labels import Labels

NO_TAG = -1
"""Of tokens that are not the context's, which nothing is learned of."""
BEGINS, ENDS = 1, 2
"""Bits: of the first token of an answer, and of its last one. Every other token of a context has the tag 0."""


def token_tags(
    labels: Labels,
    indices: Int[np.ndarray, "feature"],
    context_begin: Int[np.ndarray, "feature"],
    context_size: Int[np.ndarray, "feature"],
    width: int,
) -> Int[np.ndarray, "feature token"]:
    """Tag the tokens of rows.

    An answer that begins before its window has no `BEGINS` there, and one that ends after it no `ENDS`.

    Args:
        labels: of all features, `tagged`.
        indices: the feature of every row.
        context_begin: column at which a row's context begins.
        context_size: tokens of it.
        width: columns of a row.

    """
    columns = np.arange(width)
    in_context = (columns >= context_begin[:, None]) & (columns < (context_begin + context_size)[:, None])
    tags = np.where(in_context, 0, NO_TAG)
    counts = labels.bounds[indices + 1] - labels.bounds[indices]
    row = np.repeat(np.arange(len(indices)), counts)
    label = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts) + labels.bounds[indices][row]
    for places, tag in ((labels.first[label], BEGINS), (labels.last[label], ENDS)):
        inside = (places >= 0) & (places < context_size[row])
        tags[row[inside], (context_begin[row] + places)[inside]] |= tag
    return tags
