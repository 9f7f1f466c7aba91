"""Which of an example's candidates is its answer: the likeliest, or what the likely ones agree about."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from qa.decoding.predictions import OF_CANDIDATES, Predictions

_PAIRS_AT_ONCE = 2**20


def with_most_overlapping_first(predictions: Predictions) -> Predictions:
    """Put, of each example's counted candidates, the one that is expected to overlap most with the truth first.

    So what many likely candidates have in common wins over what one of them adds. The others stay in their order, and
    "no answer" is decided on as before, by the best score.
    Source: minimum Bayes risk decoding (Goel and Byrne, 2000), of F1 in characters.
    """
    expected, example = expected_overlap(predictions), predictions.example
    rows = np.arange(len(expected))
    by_overlap = np.lexsort((rows, -expected, example))  # sorted by example, so each keeps its rows
    is_first = np.zeros(len(rows), dtype=bool)
    is_first[by_overlap[predictions.bounds[:-1][np.diff(predictions.bounds) > 0]]] = True
    order = np.lexsort((rows, ~is_first, example))
    columns = {name: getattr(predictions, name)[order] for name in OF_CANDIDATES}
    return replace(predictions, text=[predictions.text[row] for row in order.tolist()], **columns)


def expected_overlap(predictions: Predictions) -> Float[np.ndarray, "candidate"]:
    """Return what every counted candidate is expected to have in common with the truth: F1 in characters, 0 to 1.

    The truth is one of the example's counted candidates, each with its share of the softmax over their scores. Of
    candidates that do not count it is -1.
    """
    counted = np.flatnonzero(predictions.counted)
    example = predictions.example[counted]
    sizes = np.bincount(example, minlength=len(predictions))
    place = np.arange(len(counted)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    shape = len(predictions), int(sizes.max(initial=1))

    def laid(column: Float[np.ndarray, "counted"], filler: float) -> Float[np.ndarray, "example width"]:
        rows = np.full(shape, filler)
        rows[example, place] = column
        return rows

    score = (predictions.start_logit + predictions.end_logit)[counted].astype(np.float64)
    best = laid(score, -np.inf).max(axis=1)
    weight = np.exp(score - best[example])
    share = laid(weight / np.bincount(example, weights=weight, minlength=len(predictions))[example], 0.0)
    own_start, own_end = (column[counted].astype(np.float64) for column in (predictions.start, predictions.end))
    start, end = laid(own_start, 0.0), laid(own_end, 0.0)
    expected = np.full(len(predictions.counted), -1.0)
    step = max(1, _PAIRS_AT_ONCE // shape[1])
    for begin in range(0, len(counted), step):
        block = slice(begin, begin + step)
        of, one_start, one_end = example[block], own_start[block, None], own_end[block, None]
        common = np.maximum(np.minimum(one_end, end[of]) - np.maximum(one_start, start[of]), 0.0)
        both = (one_end - one_start) + (end[of] - start[of])
        expected[counted[block]] = (share[of] * 2.0 * common / both).sum(axis=1)
    return expected
