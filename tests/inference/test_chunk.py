"""Rows that went through the model together: their predictions, by probability and against "not in this window"."""

import numpy as np
import pytest

from tests.support.predictors import CONTEXT, QUESTION

ROWS = [{"question": QUESTION, "context": CONTEXT * many} for many in (1, 4)]


@pytest.fixture
def chunk(predictor):
    (found,) = predictor.chunks(ROWS, predictor.options())
    return found


def test_a_chunk_has_its_rows_and_their_names(chunk):
    assert chunk.rows == ROWS
    assert chunk.contexts == [CONTEXT, CONTEXT * 4]
    assert list(chunk.ids) == ["input 0", "input 1"]


def test_probabilities_of_an_example_and_of_no_answer_add_up_to_one(chunk, predictor):
    found = chunk.calibrated(predictor.options())
    sums = np.add.reduceat(found.probability * found.counted, found.bounds[:-1]) + found.null_probability
    np.testing.assert_allclose(sums, 1.0, rtol=1e-5)


def test_log_odds_are_a_windows_logits_less_those_of_its_null_position(chunk, predictor):
    """In a text of one window all spans lose the same; in one of several each loses what its own window says."""
    options = predictor.options()
    plain, against = chunk.calibrated(options), chunk.against_null(options)
    example = chunk.features.example[chunk.spans.feature]  # spans are in the order of batches
    (null,) = chunk.spans.null_logits[example == 0]
    first = slice(*plain.bounds[:2])
    lost = (plain.start_logit + plain.end_logit - against.start_logit - against.end_logit)[first]
    np.testing.assert_allclose(lost, null.sum(), atol=1e-4)  # of sums of float32
    assert (example == 1).sum() > 1
    best = against.start_logit[against.bounds[1]] + against.end_logit[against.bounds[1]]
    windows = np.flatnonzero(example == 1)
    odds = chunk.spans.start_logit[windows] + chunk.spans.end_logit[windows]
    nulls = chunk.spans.null_logits[windows].sum(axis=1, keepdims=True)
    assert best == pytest.approx(np.max(odds - nulls), abs=1e-4)
