"""Labels of some windows -> a tag for every token of their padded rows: IOB2, as numbers."""

import numpy as np
from jaxtyping import Int

from qa.features.labels import Labels

NO_TAG = -1
"""Of tokens that are not the context's, which nothing is learned of."""
OUTSIDE, BEGIN, INSIDE = 0, 1, 2
"""Of a token that is in no answer, of the first of an answer, and of its further ones."""


def token_tags(
    labels: Labels,
    indices: Int[np.ndarray, "feature"],
    context_begin: Int[np.ndarray, "feature"],
    context_size: Int[np.ndarray, "feature"],
    width: int,
) -> Int[np.ndarray, "feature token"]:
    """Tag the tokens of rows.

    An answer that begins before its window has no `BEGIN` there: its tokens in the window are `INSIDE`.

    Args:
        labels: of all features, `tagged`.
        indices: the feature of every row.
        context_begin: column at which a row's context begins.
        context_size: tokens of it.
        width: columns of a row.

    """
    columns = np.arange(width)
    end = context_begin + context_size
    in_context = (columns >= context_begin[:, None]) & (columns < end[:, None])
    tags = np.where(in_context, OUTSIDE, NO_TAG)
    counts = labels.bounds[indices + 1] - labels.bounds[indices]
    row = np.repeat(np.arange(len(indices)), counts)
    label = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts) + labels.bounds[indices][row]
    first, last = context_begin[row] + labels.first[label], context_begin[row] + labels.last[label]
    borders = np.zeros((len(indices), width + 1), dtype=np.int64)
    np.add.at(borders, (row, np.maximum(first, context_begin[row])), 1)
    np.add.at(borders, (row, np.minimum(last + 1, end[row])), -1)
    tags[np.cumsum(borders, axis=1)[:, :width] > 0] = INSIDE
    begins = first >= context_begin[row]
    tags[row[begins], first[begins]] = BEGIN
    return tags
