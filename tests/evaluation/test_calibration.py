"""Calibration: every number against its dull definition, and fits that recover what the data was made with."""

import hashlib
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qa.decoding.platt import UNCHANGED, Platt
from qa.decoding.predictions import Predictions
from qa.errors import DataError
from qa.evaluation.calibration import (
    LEAST,
    Values,
    best_line,
    best_temperature,
    calibrate,
    expected_calibration_error,
    first_half,
    log_loss,
    reliability,
    risks,
)
from qa.evaluation.grading import GradedPredictions
from tests.support.scored import predictions, softmax

confidences = st.lists(st.tuples(st.sampled_from([0.0, 0.2, 1 / 3, 0.5, 0.9, 1.0]), st.booleans()), min_size=1)


def arrays(pairs):
    return np.array([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs])


# --- probabilities ---


def test_probabilities_are_the_softmax_of_scores_over_the_temperature_with_the_threshold_taken_off_the_null():
    made = predictions([[4.0, 1.0], [2.0], []], [3.0, -1.0, 0.5]).calibrated(temperature=2.5, threshold=0.75)
    np.testing.assert_allclose(
        [*made.probability[:2], made.null_probability[0]], softmax([4 / 2.5, 1 / 2.5, 2.25 / 2.5]), rtol=1e-12
    )
    np.testing.assert_allclose([made.probability[2], made.null_probability[1]], softmax([2 / 2.5, -1.75 / 2.5]))
    assert made.null_probability[2] == 1.0


def test_where_no_answer_is_impossible_it_has_no_share():
    made = predictions([[4.0, 1.0]], [9.0], null_possible=False).calibrated(temperature=1.0, threshold=3.0)
    np.testing.assert_allclose(made.probability, softmax([4.0, 1.0]))
    assert made.null_probability[0] == 0.0


def test_joined_predictions_are_those_of_all_parts():
    whole = predictions([[4.0, 1.0], [], [2.0]], [3.0, -1.0, 0.5])
    parts = [predictions([[4.0, 1.0], []], [3.0, -1.0]), predictions([[2.0]], [0.5])]
    joined = Predictions.concatenate(parts, ids=whole.ids)
    assert joined.n_best() == whole.n_best()
    assert joined.null_odds.tolist() == whole.null_odds.tolist()


# --- measures ---


@given(confidences)
@settings(max_examples=200, deadline=None)
def test_calibration_error_is_that_of_guo(pairs):
    confidence, right = arrays(pairs)
    total = 0.0
    for edge in range(15):
        members = [
            at for at, value in enumerate(confidence) if edge / 15 < value <= (edge + 1) / 15 or edge == value == 0
        ]
        if members:
            total += len(members) * abs(right[members].mean() - confidence[members].mean())
    assert expected_calibration_error(confidence, right) == pytest.approx(total / len(pairs), abs=1e-12)


@given(confidences)
@settings(max_examples=200, deadline=None)
def test_risks_are_the_mean_over_the_orders_of_ties(pairs):
    confidence, right = arrays(pairs)
    random = np.random.default_rng(0)
    found = risks(confidence, right)
    curves = []
    for _ in range(300):
        order = np.lexsort((random.random(len(pairs)), -confidence))
        curves.append(np.cumsum(~right[order]) / np.arange(1, len(pairs) + 1))
    np.testing.assert_allclose(found, np.mean(curves, axis=0), atol=0.15)
    assert found[-1] == pytest.approx(1 - right.mean())


def test_risks_without_ties_are_exact():
    confidence, right = np.array([0.2, 0.9, 0.5, 0.7]), np.array([False, True, False, True])
    assert risks(confidence, right).tolist() == [0, 0, pytest.approx(1 / 3), 0.5]


def test_log_loss_is_that_of_right_or_wrong():
    found = log_loss(np.array([0.9, 0.3, 1.0]), np.array([True, False, False]))
    assert found == pytest.approx(-(math.log(0.9) + math.log(0.7) + math.log(1e-12)) / 3)


def test_reliability_gathers_the_measures_of_some_examples():
    graded = random_graded(200, temperature=1.0)
    among = np.arange(200) < 70
    found = reliability(graded, among, Values(0.5, 2.0, Platt(0.8, 0.4)))
    confidence, right = graded.confidence(0.5, 2.0, Platt(0.8, 0.4))[among], graded.right(0.5)[among]
    assert found.exact == pytest.approx(100 * right.mean())
    assert found.f1 == pytest.approx(graded.mean_f1(0.5, among))
    assert found.confidence == pytest.approx(100 * confidence.mean())
    assert found.log_loss == log_loss(confidence, right)
    assert found.calibration_error == pytest.approx(100 * expected_calibration_error(confidence, right))
    assert found.area == pytest.approx(100 * risks(confidence, right).mean())
    assert len(found.risk_at_coverage) == 20
    assert found.risk_at_coverage[-1] == (100.0, pytest.approx(100 - found.exact))


# --- fits ---


def random_graded(count, *, temperature, null_bias=0.0, seed=7):
    """Examples whose right answer is drawn with the probabilities of their scores, which are then multiplied."""
    random = np.random.default_rng(seed)
    scores = -np.sort(-random.normal(0, 2, (count, 4)), axis=1)
    nulls = random.normal(0, 2, count)
    shares = [softmax([*row, null]) for row, null in zip(scores, nulls, strict=True)]
    right = np.array([random.choice(5, p=share) for share in shares])
    made = predictions((scores * temperature).tolist(), (nulls * temperature + null_bias).tolist())
    exact = (right == 0).astype(np.float64)
    return GradedPredictions(predictions=made, exact=exact, f1=exact, answerable=right != 4)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_the_scores_were_made_with_is_found(temperature):
    graded = random_graded(6000, temperature=temperature)
    found = calibrate(graded, Values())
    assert found.temperature == pytest.approx(temperature, rel=0.12)
    assert found.fitted.calibration_error < 3
    assert found.fitted.log_loss <= found.untuned.log_loss + 0.01
    if temperature == 3.0:
        assert found.untuned.calibration_error > 10


@pytest.mark.parametrize("null_possible", [False, True])
def test_the_line_makes_up_for_answers_of_which_several_are_right(null_possible):
    """As with an article and without: each has half of the share of the right answer; "no answer" has its own."""
    random = np.random.default_rng(3)
    scores = -np.sort(-random.normal(0, 2, (8000, 4)), axis=1)
    nulls = random.normal(0, 2, 8000) if null_possible else np.full(8000, -np.inf)
    shares = [softmax([*row, null]) for row, null in zip(scores, nulls, strict=True)]
    right = np.array([random.choice(5, p=share) for share in shares])
    exact = (right == 0).astype(np.float64)
    nulls = np.where(np.isfinite(nulls), nulls, 0.0)
    made = predictions(np.repeat(scores, 2, axis=1).tolist(), nulls.tolist(), null_possible=null_possible)
    graded = GradedPredictions(predictions=made, exact=exact, f1=exact, answerable=right != 4)
    found = calibrate(graded, Values())
    by_line, by_temperature = found.used, Values(found.threshold, best_temperature_alone(graded, found.threshold))
    errors = [reliability(graded, ~first_half(made.ids), one).calibration_error for one in (by_line, by_temperature)]
    assert errors[0] < 5
    assert errors[1] > errors[0] + 2


def best_temperature_alone(graded, threshold):
    fit = first_half(graded.predictions.ids)
    right = graded.right(threshold)[fit]
    return best_temperature(lambda value: log_loss(graded.confidence(threshold, value)[fit], right))


@pytest.mark.parametrize("line", [Platt(), Platt(0.6, 0.9), Platt(1.8, -1.5)])
def test_the_line_that_answers_were_drawn_by_is_found(line):
    random = np.random.default_rng(5)
    share = random.uniform(0.0, 1.0, 40_000)
    right = random.random(len(share)) < line.likelihood(share)
    assert best_line(share, right) == pytest.approx(line, abs=0.05)


@given(confidences)
@settings(max_examples=200, deadline=None)
def test_no_line_nearby_is_likelier(pairs):
    share, right = arrays(pairs)
    inside = (share > 0) & (share < 1)
    share, right = share[inside], right[inside]

    def loss(slope, shift):
        likelihood = Platt(slope, shift).likelihood(share)
        prior = (slope - 1) ** 2 / (2 * 0.25**2) + shift**2 / (2 * 0.5**2)
        return (len(share) * log_loss(likelihood, right) if len(share) else 0.0) + prior

    found = best_line(share, right)
    assert np.isfinite(found).all()
    if found.slope > 0:
        near = [(found.slope + a, found.shift + b) for a in (-1e-3, 0, 1e-3) for b in (-1e-3, 0, 1e-3)]
        assert loss(*found) <= min(loss(*line) for line in near) + 1e-6


def test_the_threshold_takes_the_bias_off_the_null_score():
    found = calibrate(random_graded(6000, temperature=1.0, null_bias=4.0), Values())
    assert found.threshold == pytest.approx(4.0, abs=0.7)
    assert found.fitted.f1 > found.untuned.f1 + 5
    assert found.fitted.area < found.untuned.area


def test_a_fit_sees_its_half_only():
    graded = random_graded(400, temperature=2.0)
    half = first_half(graded.predictions.ids)
    changed = GradedPredictions(
        predictions=graded.predictions,
        exact=np.where(half, graded.exact, 1.0),
        f1=np.where(half, graded.f1, 1.0),
        answerable=np.where(half, graded.answerable, True),
    )
    one, other = (calibrate(given_, Values()) for given_ in (graded, changed))
    assert fitted(one) == fitted(other)
    assert one.fitted != other.fitted
    assert one.fitted_examples == half.sum()
    assert one.measured_examples == (~half).sum()


def test_without_unanswerable_examples_the_threshold_stays():
    graded = random_graded(400, temperature=1.0)
    answerable = GradedPredictions(
        predictions=graded.predictions, exact=graded.exact, f1=graded.f1, answerable=np.ones(400, dtype=bool)
    )
    assert calibrate(answerable, Values(1.25)).threshold == 1.25


# --- what does no better is not used ---


def other_half_wrong(graded):
    """The same examples, of which the half that nothing is fitted to is answered wrongly throughout."""
    half = first_half(graded.predictions.ids)
    wrong = np.where(half, graded.exact, 0.0)
    return replace(graded, exact=wrong, f1=wrong)


def fitted(found):
    return Values(found.fitted_threshold, found.fitted_temperature, Platt(found.fitted_slope, found.fitted_shift))


def test_of_few_examples_nothing_is_taken_over_and_the_number_is_said():
    found = calibrate(random_graded(LEAST - 1, temperature=3.0), Values(0.25, 1.5))
    assert found.used == Values(0.25, 1.5)
    assert found.kept == (
        "found 49 examples; wanted 50 or more: a share measured on half of fewer is off by 10 points",
    )


def test_new_values_that_do_better_on_the_other_half_are_used():
    found = calibrate(random_graded(4000, temperature=3.0, null_bias=5.0), Values())
    assert found.kept == ()
    assert found.used == fitted(found)
    assert found.fitted.log_loss < found.before.log_loss
    assert found.fitted.f1 > found.before.f1


@given(st.integers(0, 10**6), st.sampled_from([50, 80, 300]), st.sampled_from([0.3, 1.0, 4.0]))
@settings(max_examples=8, deadline=None)
def test_what_is_used_is_never_worse_on_the_other_half(seed, count, temperature):
    graded = random_graded(count, temperature=temperature, seed=seed)
    found = calibrate(graded, Values(0.5, 1.2))
    among = ~first_half(graded.predictions.ids)
    after = reliability(graded, among, found.used)
    assert after.log_loss <= found.before.log_loss
    assert after.f1 >= found.before.f1
    assert (found.used == Values(0.5, 1.2)) <= bool(found.kept)


def test_a_temperature_that_harms_is_not_used():
    found = calibrate(other_half_wrong(random_graded(400, temperature=0.2)), Values(0.0, 2.0))
    assert found.temperature == 2.0
    assert any(reason.startswith("log loss with temperature") for reason in found.kept)


def test_a_temperature_at_the_end_of_the_search_is_said_and_not_used():
    """As confidence that has nothing to do with being right."""
    graded = random_graded(4000, temperature=400.0)
    found = calibrate(replace(graded, exact=graded.exact[::-1].copy(), f1=graded.f1[::-1].copy()), Values())
    assert found.fitted_temperature == pytest.approx(20.0, rel=0.01)
    assert found.temperature == 1.0
    assert any("is the last that is tried" in reason for reason in found.kept)


def test_a_line_that_would_turn_the_order_of_answers_round_is_none():
    graded = random_graded(4000, temperature=1.0)
    order = np.argsort(graded.confidence(0.0, 1.0))
    exact = np.zeros(4000)
    exact[order[:1500]] = 1.0  # the least certain ones are right
    made = replace(graded.predictions, null_possible=False)
    turned = GradedPredictions(predictions=made, exact=exact, f1=exact, answerable=np.ones(4000, dtype=bool))
    assert best_line(turned.confidence(0.0, 1.0), turned.right(0.0)).slope < 0
    assert fitted(calibrate(turned, Values())).platt == UNCHANGED


def test_certain_and_wrong_answers_do_not_steer_the_line():
    """Examples with one candidate: no line and no temperature changes their share."""
    random = np.random.default_rng(2)
    share = random.uniform(0.0, 1.0, 500)
    right = random.random(500) < share
    line = best_line(share, right)
    assert best_line(np.append(share, np.ones(50)), np.append(right, np.zeros(50, dtype=bool))) == line
    close = best_line(np.append(share, np.full(5, 1 - 1e-15)), np.append(right, np.zeros(5, dtype=bool)))
    assert close.slope > 0.5 * line.slope


def test_a_threshold_at_which_next_to_nothing_is_answered_is_said_and_not_used():
    graded = random_graded(400, temperature=1.0)
    none_right = replace(graded, exact=np.zeros(400), f1=np.zeros(400), answerable=graded.predictions.null_odds < -9)
    found = calibrate(none_right, Values())
    assert found.threshold == 0.0
    assert any("% of the questions are answered" in reason for reason in found.kept)


def test_the_prior_holds_what_is_fitted_where_examples_are_few():
    few, many = (fitted(calibrate(random_graded(count, temperature=6.0), Values())) for count in (50, 6000))
    assert many.temperature / many.platt.slope == pytest.approx(6.0, rel=0.15)
    assert few.temperature < many.temperature
    assert few.platt.slope > 0.3


def test_halves_are_by_the_hash_of_the_id():
    ids = [f"example {at}" for at in range(2000)]
    half = first_half(ids)
    assert half.tolist() == [hashlib.sha256(key.encode()).hexdigest()[0] in "01234567" for key in ids]
    assert first_half(ids[::-1]).tolist() == half.tolist()[::-1]
    assert 900 < half.sum() < 1100
    first_half(["lone \ud800"])


def test_too_few_examples_are_refused():
    with pytest.raises(DataError, match="1 examples do not make two halves"):
        calibrate(random_graded(1, temperature=1.0), Values())


@pytest.mark.parametrize("place", [0.05, 0.3, 1.0, 7.7, 20.0])
def test_the_best_temperature_is_found_among_several_minima(place):
    def loss(value):
        away = math.log(value / place)
        return away * away - 0.2 * math.cos(20 * away)

    assert best_temperature(loss) == pytest.approx(place, rel=2e-4)
