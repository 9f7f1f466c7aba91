"""Which of an example's candidates is its answer: the likeliest, or what the likely ones agree about."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from qa.decoding.predictions import OF_CANDIDATES, Predictions

_PAIRS_AT_ONCE = 2**20


def with_most_overlapping_first(predictions: Predictions) -> Predictions:
    """Put, of each example's counted candidates, the one that is expected to overlap most with the truth first.

    So what many likely candidates have in common wins over what one of them adds. The others stay in their order, and
    "no answer" is decided on as before, by the best score. How many candidates are kept does not matter.
    Source: minimum Bayes risk decoding (Goel and Byrne, 2000), of F1 in characters.
    """
    expected, example = np.where(predictions.counted, expected_overlap(predictions), -1.0), predictions.example
    rows = np.arange(len(expected))
    by_overlap = np.lexsort((rows, -expected, example))  # sorted by example, so each keeps its rows
    is_first = np.zeros(len(rows), dtype=bool)
    is_first[by_overlap[predictions.bounds[:-1][np.diff(predictions.bounds) > 0]]] = True
    order = np.lexsort((rows, ~is_first, example))
    columns = {name: getattr(predictions, name)[order] for name in OF_CANDIDATES}
    return replace(predictions, text=[predictions.text[row] for row in order.tolist()], **columns)


def expected_overlap(predictions: Predictions) -> Float[np.ndarray, "candidate"]:
    """Return what every candidate is expected to have in common with the truth: F1 in characters, 0 to 1.

    The truth is one of the example's counted candidates, each with its share of the softmax over their scores.
    """
    example, sizes = predictions.example, np.diff(predictions.bounds)
    place = np.arange(len(example)) - np.repeat(predictions.bounds[:-1], sizes)
    shape = len(sizes), int(sizes.max(initial=1))

    def laid(column: Float[np.ndarray, "candidate"], filler: float) -> Float[np.ndarray, "example width"]:
        rows = np.full(shape, filler)
        rows[example, place] = column
        return rows

    score = (predictions.start_logit + predictions.end_logit).astype(np.float64)
    share = laid(np.where(predictions.counted, score, -np.inf), -np.inf)
    share = np.exp(share - np.maximum(share.max(axis=1, keepdims=True), np.finfo(np.float64).min))
    share /= np.maximum(share.sum(axis=1, keepdims=True), 1e-300)
    own_start, own_end = predictions.start.astype(np.float64), predictions.end.astype(np.float64)
    start, end = laid(own_start, 0.0), laid(own_end, 0.0)
    expected = np.empty(len(example))
    step = max(1, _PAIRS_AT_ONCE // shape[1])
    for begin in range(0, len(example), step):
        block = slice(begin, begin + step)
        of, one_start, one_end = example[block], own_start[block, None], own_end[block, None]
        common = np.maximum(np.minimum(one_end, end[of]) - np.maximum(one_start, start[of]), 0.0)
        expected[block] = (share[of] * 2.0 * common / (one_end - one_start + end[of] - start[of])).sum(axis=1)
    return expected
