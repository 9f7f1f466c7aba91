"""MultiSpanQA's scores against a loop over common substrings; then the quirks of the published evaluation."""

import math
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa.errors import MetricError
from qa.metrics import main_score, multi_span_score, normalize_answer
from qa.metrics.multi_span import counts_of

TEXTS = st.lists(st.text(alphabet="ab c.", max_size=6), max_size=4)


def longest_common(one, other):
    runs = {one[a:b] for a in range(len(one)) for b in range(a + 1, len(one) + 1)}
    return max((len(run) for run in runs if run in other), default=0)


def plain_scores(predictions, references):
    predicted = wanted = exact = precise = recalled = 0.0
    for key, right in references.items():
        golds, found = (set(map(normalize_answer, texts)) for texts in (right, predictions[key]))
        predicted += max(len(found), 1)
        wanted += max(len(golds), 1)
        if not golds and not found:
            exact, precise, recalled = exact + 1, precise + 1, recalled + 1
        elif golds and found:
            exact += len(golds & found)
            precise += sum(max(longest_common(p, g) for g in golds) / max(len(p), 1) for p in found)
            recalled += sum(max(longest_common(p, g) for p in found) / max(len(g), 1) for g in golds)
    scores = {}
    for kind, right, all_right in (("exact", exact, exact), ("overlap", precise, recalled)):
        p, r = right / predicted, all_right / wanted
        scores |= {f"{kind}_precision": p, f"{kind}_recall": r, f"{kind}_f1": 2 * p * r / (p + r) if p + r else 0.0}
    return {name: 100 * value for name, value in scores.items()}


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5))
def test_scores_equal_the_loop(pairs):
    predictions = {str(at): found for at, (found, _) in enumerate(pairs)}
    references = {str(at): right for at, (_, right) in enumerate(pairs)}
    assert multi_span_score(predictions, references) == pytest.approx(plain_scores(predictions, references))


def test_an_answer_in_part_counts_by_its_longest_run():
    scores = multi_span_score({"q": ["Vienna", "Graz in Styria"]}, {"q": ["Vienna", "Graz", "Linz"]})
    assert scores["exact_precision"] == pytest.approx(100 / 2)
    assert scores["exact_recall"] == pytest.approx(100 / 3)
    assert scores["overlap_precision"] == pytest.approx(100 * (1 + 4 / 14) / 2)
    assert scores["overlap_recall"] == pytest.approx(100 * (2 + 2 / 4) / 3)  # "Linz" shares two letters with the second


def test_the_same_text_twice_counts_once():
    once, twice = (multi_span_score({"q": found}, {"q": ["The Oslo!"]}) for found in (["oslo"], ["Oslo", "oslo"]))
    assert once == twice
    assert once["exact_f1"] == 100


def test_no_answer_counts_as_one_answer():
    scores = multi_span_score({"none": [], "some": ["a b"], "wrong": ["x"]}, {"none": [], "some": ["a b"], "wrong": []})
    assert scores["exact_precision"] == pytest.approx(200 / 3)
    assert scores["overlap_recall"] == pytest.approx(200 / 3)


def test_languages_have_their_rules():
    assert multi_span_score({"q": ["l'eau"]}, {"q": ["eau"]}, language="fr")["exact_f1"] == 100
    assert multi_span_score({"q": ["l'eau"]}, {"q": ["eau"]})["exact_f1"] == 0


@pytest.mark.parametrize(
    ("predictions", "references", "message"),
    [
        ({}, {}, "no references"),
        ({"a": []}, {"b": []}, "'a' has a prediction but no reference"),
        ({"a": "text"}, {"a": ["text"]}, "'a' has 'text' as predictions; wanted a list of texts"),
        ({"a": ["text"]}, {"a": "text"}, "'a' has 'text' as references; wanted a list of texts"),
        ({"a": ["text"]}, {"a": [None]}, "'a' has [None] as references; wanted a list of texts"),
        ({"a": [5]}, {"a": ["text"]}, "'a' has [5] as predictions; wanted a list of texts"),
        ({"a": ["text"]}, {"a": None}, "'a' has None as references; wanted a list of texts"),
    ],
)
def test_what_cannot_be_scored_is_named(predictions, references, message):
    with pytest.raises(MetricError, match=re.escape(message)):
        multi_span_score(predictions, references)


def test_models_are_compared_by_what_their_data_can_have():
    assert main_score({"f1": 1.0}) == "f1"
    assert main_score({"f1": 1.0, "best_f1": 1.0}) == "best_f1"
    assert main_score({"exact_f1": 1.0, "fitted_overlap_f1": 1.0}) == "fitted_overlap_f1"


def test_scores_do_not_depend_on_the_order_of_a_set():
    """That is another one in every process, and thirds and sevenths add up to another last digit in another order."""
    chance = random.Random(0)
    for _ in range(200):
        predicted = {"".join(chance.choices("abcde", k=chance.randint(1, 9))) for _ in range(6)}
        right = {"".join(chance.choices("abcde", k=chance.randint(1, 9))) for _ in range(4)}
        shares = [max(counts_of([one], [other]).precise for other in right) for one in predicted]
        assert counts_of(predicted, right).precise == math.fsum(shares)
