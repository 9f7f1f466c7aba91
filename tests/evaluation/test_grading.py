"""Predictions beside references: right or wrong example by example, and the official scores overall."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qa import metrics
from qa.evaluation.grading import grade, score_names, score_predictions
from tests.support.scored import predictions


@given(
    st.lists(st.tuples(st.integers(-40, 40), st.integers(-40, 40)), min_size=1, max_size=8),
    st.sampled_from([-2.5, 0.0, 0.25, 3.0]),
    st.sampled_from([0.3, 1.0, 7.0]),
)
@settings(max_examples=100, deadline=None)
def test_what_is_answered_is_the_most_probable(pairs, threshold, temperature):
    made = predictions([[best / 4, best / 4 - 1] for best, _ in pairs], [null / 4 for _, null in pairs])
    graded = grade(made, [["other"]] * len(pairs))
    scored = made.calibrated(temperature=temperature, threshold=threshold)
    most = np.maximum(scored.null_probability, scored.probability[::2])
    np.testing.assert_allclose(graded.confidence(threshold, temperature), most, rtol=1e-9)
    is_null = scored.null_probability > scored.probability[::2]
    assert [text == "" for text in made.texts(threshold)] == is_null.tolist()


def test_an_answer_is_right_if_it_matches_exactly_or_none_is_right():
    made = predictions([[2.0], [2.0], [2.0], [0.0], [0.0]], [0.0, 0.0, 0.0, 1.0, 1.0], texts=["The Oslo!", *"bcde"])
    graded = grade(made, [["oslo"], ["x"], [], [], ["e"]])
    assert graded.right(0.0).tolist() == [True, False, False, True, False]
    assert graded.right(5.0).tolist() == [True, False, False, False, True]
    assert graded.mean_f1(0.0, np.array([True, True, False, True, False])) == pytest.approx(200 / 3)


def test_judging_follows_the_language():
    made = predictions([[1.0]], [0.0], texts=["l'eau"])
    assert grade(made, [["eau"]]).exact[0] == 0
    assert grade(made, [["eau"]], language="fr").exact[0] == 1


def test_an_example_without_any_span_has_no_confidence_where_it_must_answer():
    graded = grade(predictions([[], [1.0]], [0.0, 0.0], null_possible=False), [["x"], ["y"]])
    assert graded.confidence(0.0, 1.0).tolist() == [0.0, 1.0]
    assert graded.right(0.0).tolist() == [False, False]


def test_scores_of_v1_take_what_is_answered_and_those_of_v2_the_spans_and_their_odds():
    made = predictions([[2.0], [2.0], [1.0]], [0.0, 3.0, 3.0], texts=["oslo", "bergen", "dale"])
    all_right = [["oslo"], ["bergen"], ["dale"]]
    answered = dict(zip(made.ids, ["oslo", "", ""], strict=True))  # null odds of 2 stand above the spans'
    wanted = metrics.score(answered, dict(zip(made.ids, all_right, strict=True)))
    assert score_predictions(made, all_right, threshold=0.0, language="en") == wanted
    references = [["oslo"], [], ["dale"]]
    found = score_predictions(made, references, threshold=0.0, language="en")
    odds = dict(zip(made.ids, made.null_odds.tolist(), strict=True))
    texts = dict(zip(made.ids, ["oslo", "bergen", "dale"], strict=True))
    official = metrics.score(texts, dict(zip(made.ids, references, strict=True)), null_odds=odds, threshold=0.0)
    assert {name: found[name] for name in official} == official
    assert (found["no_answer_threshold"], found["fitted_f1"]) == (0.0, official["best_f1"])
    assert found["fitted_threshold"] == pytest.approx(plain_threshold(made, references), abs=1e-6)


def plain_threshold(made, references):
    """The null odds with the best F1, nearest to 0 of equally good ones, tried one by one between neighbours."""
    graded = grade(made, references)
    tried = sorted({*made.null_odds.tolist(), 0.0})
    everything = np.ones(len(references), dtype=bool)
    f1 = {at: graded.mean_f1(at, everything) for at in tried}
    return min((at for at in tried if f1[at] == max(f1.values())), key=abs)


def test_where_no_answer_is_impossible_its_threshold_stays():
    made = predictions([[2.0], [2.0]], [9.0, 9.0], null_possible=False, texts=["a", "b"])
    found = score_predictions(made, [["a"], []], threshold=0.5, language="en")
    assert (found["fitted_threshold"], found["fitted_f1"]) == (0.5, found["f1"])
    assert (found["HasAns_f1"], found["NoAns_f1"]) == (100.0, 0.0)


@pytest.mark.parametrize(("answerable", "impossible"), [(True, False), (True, True), (False, True)])
def test_the_names_of_the_scores_are_those_that_data_of_the_kind_gets(answerable, impossible):
    references = [["text 0"]] * answerable + [[]] * impossible
    made = predictions([[1.0]] * len(references), [0.0] * len(references), texts=["text 0"] * len(references))
    found = score_predictions(made, references, threshold=0.0, language="en")
    assert score_names(answerable=answerable, impossible=impossible) == list(found)
