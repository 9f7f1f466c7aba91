"""Scores of all answers, and the threshold that is best for them, against trying every one."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qa.decoding.platt import UNCHANGED
from qa.evaluation.calibration import Values, calibrate
from qa.evaluation.several import SEVERAL_SCORES, fit_threshold, grade_answers, score_several
from qa.metrics import multi_span_score
from tests.support.scored import predictions

SCORES = st.lists(st.integers(-8, 8).map(lambda value: value / 2), max_size=4)
EXAMPLES = st.lists(
    st.tuples(SCORES, st.lists(st.sampled_from(["0", "1", "2", "other", "10"]), max_size=3)), min_size=1, max_size=4
)


def made_of(pairs, *, null_possible):
    """Candidates with these scores, one beside the other, called by their ranks."""
    scores = [sorted(scores, reverse=True) for scores, _ in pairs]
    texts = [str(rank) for row in scores for rank in range(len(row))]
    found = predictions(scores, [0.0] * len(scores), null_possible=null_possible, texts=texts)
    places = np.array([2 * rank for row in scores for rank in range(len(row))], dtype=np.int64)
    return dataclasses.replace(found, start=places, end=places + 1)


def answered(found, threshold):
    return {
        key: [found.text[row] for row in rows]
        for key, rows in zip(found.ids, found.all_answers(threshold), strict=True)
    }


@settings(deadline=None, max_examples=150)
@given(EXAMPLES, st.booleans())
def test_no_threshold_is_better_than_the_fitted_one(pairs, null_possible):
    found, references = made_of(pairs, null_possible=null_possible), [right for _, right in pairs]
    by_id = dict(zip(found.ids, references, strict=True))

    def f1(threshold):
        return multi_span_score(answered(found, threshold), by_id)["overlap_f1"]

    fitted = fit_threshold(found, references, language="en")
    scores = {tried / 4: f1(tried / 4) for tried in range(-24, 25)}
    assert f1(fitted) == pytest.approx(max(scores.values()))
    assert (fitted == 0.0) == (scores[0.0] == pytest.approx(max(scores.values())))


def test_answers_are_disjoint_and_each_stands_against_no_answer_by_itself():
    found = predictions([[3.0, 2.0, 1.0, -2.0]], [0.0], texts=["ab", "b", "cd", "e"])
    found = dataclasses.replace(found, start=np.array([0, 1, 3, 6]), end=np.array([2, 2, 5, 7]))
    assert answered(found, 0.0) == {"q0": ["ab", "cd"]}
    assert answered(found, 2.0) == {"q0": ["ab", "cd", "e"]}
    assert answered(found, -1.5) == {"q0": ["ab"]}
    assert answered(found, -5.0) == {"q0": []}
    assert answered(dataclasses.replace(found, null_possible=False), -5.0) == {"q0": ["ab"]}


def test_scores_are_those_at_the_threshold_and_at_the_fitted_one():
    found = made_of([([2.0, 1.0], ["0", "1"]), ([0.5], [])], null_possible=True)
    scores = score_several(found, [["0", "1"], []], threshold=-5.0, language="en")
    assert list(scores) == SEVERAL_SCORES
    assert scores["exact_recall"] == pytest.approx(100 / 3)
    assert scores["fitted_threshold"] == pytest.approx(-0.75)
    assert scores["fitted_overlap_f1"] == scores["fitted_exact_f1"] == 100


def test_probabilities_of_independent_candidates_do_not_share():
    found = dataclasses.replace(made_of([([2.0, 2.0, -1.0], [])], null_possible=True), independent=True)
    made = found.calibrated(temperature=2.0, threshold=1.0)
    wanted = [1 / (1 + np.exp(-(score + 1.0) / 2.0)) for score in (2.0, 2.0, -1.0)]
    np.testing.assert_allclose(made.probability, wanted)
    np.testing.assert_allclose(made.null_probability, 1 - wanted[0])


def test_every_span_is_graded_by_all_references_of_its_example():
    found = made_of([([2.0, 1.0], ["1"]), ([0.5], []), ([], ["x"])], null_possible=True)
    graded = grade_answers(found, [["1"], [], ["x"]])
    assert graded.predictions.ids == ["q0", "q0", "q1"]
    assert graded.answerable.tolist() == [False, True, False]
    assert graded.right(0.0).tolist() == [False, True, False]
    assert graded.right(-1.5).tolist() == [False, False, True]
    every = np.ones(3, dtype=bool)
    scores = multi_span_score(answered(found, 0.0), {"q0": ["1"], "q1": [], "q2": ["x"]})
    assert graded.mean_f1(0.0, every) == pytest.approx(scores["overlap_f1"])
    of_the_first = np.array([True, True, False])
    by_hand = multi_span_score({"q0": ["0", "1"], "q2": []}, {"q0": ["1"], "q2": ["x"]})
    assert graded.mean_f1(0.0, of_the_first) == pytest.approx(by_hand["overlap_f1"])


def test_threshold_and_temperature_are_fitted_to_answers_as_to_examples():
    random = np.random.default_rng(0)
    pairs = []
    for _ in range(200):
        scores = sorted(random.normal(scale=4.0, size=3), reverse=True)
        right = [str(rank) for rank, score in enumerate(scores) if random.random() < 1 / (1 + np.exp(2.0 - score / 2))]
        pairs.append(([float(score) for score in scores], right))
    found = dataclasses.replace(made_of(pairs, null_possible=True), independent=True)
    graded = grade_answers(found, [right for _, right in pairs])
    fitted = calibrate(graded, Values())
    assert fitted.fitted.f1 > fitted.untuned.f1
    assert fitted.fitted.log_loss < fitted.untuned.log_loss
    assert fitted.kept == ()
    assert fitted.used.platt == (fitted.fitted_slope, fitted.fitted_shift) != UNCHANGED
