"""Predictions, references and null odds: what does not fit is named with its id."""

import numpy as np
import pytest

from qa.errors import MetricError
from qa.metrics import exact_match, f1, load, normalize_answer, raw_scores, score
from qa.metrics.inputs import of_examples, require_same_ids, require_texts
from tests.support.metric_rows import as_rows


def test_ids_that_do_not_fit_are_named():
    with pytest.raises(MetricError, match="'b' has a reference but no prediction"):
        score({"a": "x"}, {"a": ["x"], "b": ["x"]})
    with pytest.raises(MetricError, match="'b' has a prediction but no reference"):
        score({"a": "x", "b": "x"}, {"a": ["x"]})
    with pytest.raises(MetricError, match="'b' has a reference but no null odds"):
        score({"a": "x", "b": "x"}, {"a": ["x"], "b": []}, null_odds={"a": 0.0})
    with pytest.raises(MetricError, match="no references"):
        score({}, {})


@pytest.mark.parametrize("name", ["squad", "squad_v2"])
def test_ids_that_come_twice_or_miss_are_named_by_compute(name):
    once, other = as_rows({"a": "x"}, {"a": ["x"]}, {"a": 0.0}), as_rows({"b": "x"}, {"b": ["x"]}, {"b": 0.0})
    if name == "squad":
        for rows in (once, other):
            del rows["predictions"][0]["no_answer_probability"]
    twice, both = [once[key] * 2 for key in once], [once[key] + other[key] for key in once]
    with pytest.raises(MetricError, match="'a' has 2 rows with prediction_text"):
        load(name).compute(predictions=twice[0], references=both[1])
    with pytest.raises(MetricError, match="'a' has 2 rows with answers"):
        load(name).compute(predictions=both[0], references=twice[1])
    with pytest.raises(MetricError, match="'a' has a prediction but no reference"):
        load(name).compute(predictions=once["predictions"], references=other["references"])


def test_unanswerable_examples_need_null_odds_that_are_numbers():
    with pytest.raises(MetricError, match="wanted the null odds"):
        score({"a": "x"}, {"a": []})
    with pytest.raises(MetricError, match="'a' has null odds that are not a number"):
        score({"a": "x"}, {"a": []}, null_odds={"a": float("nan")})


def test_rows_without_a_text_or_null_odds_are_named_by_compute():
    with pytest.raises(MetricError, match="'a' has None as no_answer_probability"):
        load("squad_v2").compute(**as_rows({"a": "x"}, {"a": []}, {"a": None}))
    with pytest.raises(MetricError, match="'a' has None as prediction_text"):
        load("squad").compute(**as_rows({"b": "x", "a": None}, {"b": ["x"], "a": ["x"]}))


@pytest.mark.parametrize(
    ("texts", "references", "named"),
    [
        ({"1": None}, {"1": ["x"]}, "example '1' has None as prediction; wanted a text"),
        ({"1": 7}, {"1": ["x"]}, "example '1' has 7 as prediction"),
        ({"1": "x"}, {"1": None}, "example '1' has None as references; wanted a list of texts"),
        ({"1": "x"}, {"1": [None]}, r"example '1' has \[None\] as references"),
        ({"1": "x"}, {"1": "x"}, "example '1' has 'x' as references"),
        ({"1": "x"}, {"1": {"text": ["x"]}}, "example '1' has .* as references"),
    ],
)
def test_a_value_that_is_no_text_is_named_with_its_id(texts, references, named):
    for call in (score, raw_scores):
        with pytest.raises(MetricError, match=named):
            call(texts, references)


def test_one_text_that_is_none_is_a_metric_error_too():
    for call in (exact_match, f1):
        with pytest.raises(MetricError, match="None as prediction"):
            call(None, ["x"])
        with pytest.raises(MetricError, match="as references"):
            call("x", [None])
    with pytest.raises(MetricError, match="found None as answer"):
        normalize_answer(None)


def test_null_odds_that_are_no_number_are_named():
    with pytest.raises(MetricError, match="example '1' has None as null odds; wanted a number"):
        score({"1": "x"}, {"1": []}, null_odds={"1": None})


def test_references_may_be_arrays_and_tuples():
    for answers in (np.array(["cat", "dog"]), ("cat", "dog")):
        assert score({"1": "dog"}, {"1": answers}) == {"exact_match": 100.0, "f1": 100.0}


def test_values_that_no_example_has_are_left_out():
    assert of_examples({"a": 1, "z": 2}, {"a": [], "b": []}) == {"a": 1}


def test_the_number_of_ids_on_one_side_is_told_with_the_first():
    with pytest.raises(MetricError, match=r"example '0' has a prediction but no reference; 3 such ids$"):
        require_same_ids("prediction", {"0": "", "2": "", "3": ""}, {"2": [], "4": []})
    require_same_ids("prediction", {"2": ""}, {"2": []})


def test_what_is_long_is_shown_in_80_characters():
    with pytest.raises(MetricError) as error:
        require_texts({"a": ["x" * 5000]}, {"a": []})
    assert len(str(error.value)) < 150


def test_references_that_can_be_read_only_once_are_refused():
    """The check would use them up, and what is left of them score 0."""
    with pytest.raises(MetricError, match="wanted a list of texts"):
        score({"a": "x"}, {"a": iter(["x"])})


def test_what_becomes_of_missing_predictions_and_the_threshold_are_checked():
    with pytest.raises(MetricError, match="missing is 'skip'; wanted one of 'error', 'zero'"):
        score({"a": "x"}, {"a": ["x"]}, missing="skip")
    with pytest.raises(MetricError, match="threshold is nan; wanted a number"):
        score({"a": "x"}, {"a": []}, null_odds={"a": 1.0}, threshold=float("nan"))
