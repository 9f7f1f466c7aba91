"""Against the published evaluations, written out plainly; then what their users stumble over, one test each."""

import json
import operator
import random
import re
import socket
import string
from collections import Counter
from functools import reduce

import datasets
import numpy as np
import pytest
from hypothesis import example as with_example
from hypothesis import given, settings
from hypothesis import strategies as st

from qa.errors import ConfigError, MetricError
from qa.metrics import best_threshold, exact_match, f1, load, raw_scores, score
from tests.support.metric_rows import as_rows

# --- The oracle: SQuAD v1.1 and v2.0 as published, one example after the other, nothing kept ---


def plain_normalize(text):
    kept = "".join(character for character in text.lower() if character not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", kept).split())


def plain_exact(reference, prediction):
    return int(plain_normalize(reference) == plain_normalize(prediction))


def plain_f1(reference, prediction, *, empty_texts_match):
    wanted, predicted = plain_normalize(reference).split(), plain_normalize(prediction).split()
    if empty_texts_match and (not wanted or not predicted):
        return int(wanted == predicted)
    same = sum((Counter(wanted) & Counter(predicted)).values())
    if same == 0:
        return 0
    precision, recall = 1.0 * same / len(predicted), 1.0 * same / len(wanted)
    return (2 * precision * recall) / (precision + recall)


def plain_squad(texts, references):
    total_exact = total_f1 = 0
    for example_id, answers in references.items():
        total_exact += max(plain_exact(answer, texts[example_id]) for answer in answers)
        total_f1 += max(plain_f1(answer, texts[example_id], empty_texts_match=False) for answer in answers)
    return {"exact_match": 100.0 * total_exact / len(references), "f1": 100.0 * total_f1 / len(references)}


def plain_squad_v2(texts, references, null_odds, threshold):
    answerable = {example_id: bool(answers) for example_id, answers in references.items()}
    raw = {"exact": {}, "f1": {}}
    for example_id, answers in references.items():
        right = [answer for answer in answers if plain_normalize(answer)] or [""]
        text = texts[example_id]
        raw["exact"][example_id] = max(plain_exact(answer, text) for answer in right)
        raw["f1"][example_id] = max(plain_f1(answer, text, empty_texts_match=True) for answer in right)
    final = {
        name: {
            example_id: float(not answerable[example_id]) if null_odds[example_id] > threshold else value
            for example_id, value in shares.items()
        }
        for name, shares in raw.items()
    }
    scores = plain_means(final, list(references))
    for prefix, wanted in (("HasAns", True), ("NoAns", False)):
        part = [example_id for example_id in references if answerable[example_id] == wanted]
        if part:
            scores |= {f"{prefix}_{name}": value for name, value in plain_means(final, part).items()}
    for name, shares in raw.items():
        best, best_at = plain_best(texts, shares, null_odds, answerable)
        scores |= {f"best_{name}": best, f"best_{name}_thresh": best_at}
    return scores


def plain_means(shares, ids):
    """Sums from left to right, as `sum` does on CPython 3.11; later ones add with a correction."""
    totals = {name: reduce(operator.add, (values[i] for i in ids)) for name, values in shares.items()}
    return {**{name: 100.0 * total / len(ids) for name, total in totals.items()}, "total": len(ids)}


def plain_best(texts, shares, null_odds, answerable):
    current = best = sum(1 for example_id in answerable if not answerable[example_id])
    best_at = 0.0
    for example_id in sorted(null_odds, key=lambda example_id: null_odds[example_id]):
        if answerable[example_id]:
            current += shares[example_id]
        elif texts[example_id]:
            current -= 1
        if current > best:
            best, best_at = current, null_odds[example_id]
    return 100.0 * best / len(shares), best_at


# --- Random data with all that makes the scripts differ: articles, punctuation, nothing left, repeated words, ties ---

WORDS = [
    "a",
    "An",
    "THE",
    "cat",
    "cat",
    "Cat's",
    "dog",
    "theatre",
    "a.",
    ".",
    "-",
    "“",
    "ﬁ",
    "İ",
    "ΣΑΣ",
    "x\u00a0y",
    "3,5",
    "",
]
SPACES = [" ", "  ", "\n", "\u3000", ""]
ODDS = [0.0, -0.0, 1.0, -1.0, 2.5, 2.5, 1e-3]


EPSILON = float(np.finfo(np.float64).eps)


def random_text(rng, most=6):
    return "".join(rng.choice(WORDS) + rng.choice(SPACES) for _ in range(rng.randrange(most)))


def random_data(rng, size, fewest):
    texts = {f"q{i}": random_text(rng) for i in range(size)}
    references = {
        example_id: [rng.choice([text, random_text(rng)]) for _ in range(rng.choice([fewest, 1, 2, 3]))]
        for example_id, text in texts.items()
    }
    # float32 values, so that `compute` sees the same numbers; in an order of their own, which decides ties.
    ids = rng.sample(list(texts), size)
    null_odds = {i: float(np.float32(rng.choice([*ODDS, rng.gauss(0, 3)]))) for i in ids}
    return texts, references, null_odds


def same(ours, theirs):
    """Same keys in the same order, same values to the last bit, numbers that JSON can hold."""
    assert json.dumps(ours) == json.dumps(theirs)
    return list(ours.items()) == list(theirs.items())


def test_v1_equals_the_published_evaluation_on_20000_random_pairs():
    rng = random.Random(11)
    for size in [1, 2, 3] * 20 + [500] * 40:
        texts, references, _ = random_data(rng, size, fewest=1)
        assert same(score(texts, references), plain_squad(texts, references))


def test_v2_equals_the_published_evaluation_on_20000_random_pairs():
    rng = random.Random(20)
    for size in [1, 2, 3] * 20 + [500] * 40:
        texts, references, null_odds = random_data(rng, size, fewest=0)
        references["q0"] = []
        threshold = rng.choice([0.0, 1.0, rng.gauss(0, 2)])
        ours = score(texts, references, null_odds=null_odds, threshold=threshold)
        assert same(ours, plain_squad_v2(texts, references, null_odds, threshold))


TEXT = st.lists(st.sampled_from(WORDS) | st.text(max_size=4), max_size=5).map(" ".join)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(TEXT, st.lists(TEXT, min_size=1, max_size=3)), min_size=1, max_size=8))
def test_v1_equals_the_published_evaluation_on_any_text(rows):
    texts = {str(i): text for i, (text, _) in enumerate(rows)}
    references = {str(i): answers for i, (_, answers) in enumerate(rows)}
    assert same(score(texts, references), plain_squad(texts, references))


@settings(deadline=None, max_examples=150)
@given(
    st.lists(
        st.tuples(TEXT, st.lists(TEXT, max_size=2), st.sampled_from(ODDS) | st.floats(allow_nan=False)),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from(ODDS) | st.floats(allow_nan=False),
)
def test_v2_equals_the_published_evaluation_on_any_text_and_null_odds(rows, threshold):
    rows = [*rows, ("", [], 0.0)]
    texts = {str(i): text for i, (text, _, _) in enumerate(rows)}
    references = {str(i): answers for i, (_, answers, _) in enumerate(rows)}
    null_odds = {str(i): odds for i, (_, _, odds) in enumerate(rows)}
    ours = score(texts, references, null_odds=null_odds, threshold=threshold)
    assert same(ours, plain_squad_v2(texts, references, null_odds, threshold))


def test_the_metric_objects_give_the_same_numbers_as_score_and_can_be_used_again():
    rng = random.Random(5)
    squad, squad_v2 = load("squad"), load("squad_v2")
    for size in (1, 2, 60):
        texts, references, null_odds = random_data(rng, size, fewest=1)
        assert same(squad.compute(**as_rows(texts, references)), plain_squad(texts, references))
        references["q0"] = []
        ours = squad_v2.compute(**as_rows(texts, references, null_odds), no_answer_threshold=0.5)
        assert same(ours, plain_squad_v2(texts, references, null_odds, 0.5))
        assert same(ours, score(texts, references, null_odds=null_odds, threshold=0.5))


# --- The metric objects ---


def test_metrics_load_and_compute_with_the_network_off(monkeypatch, tmp_path):
    def refuse(*_):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.chdir(tmp_path)
    assert load("squad").compute(**as_rows({"1": "The cat"}, {"1": ["cat"]})) == {"exact_match": 100.0, "f1": 100.0}
    v2 = load("squad_v2").compute(**as_rows({"1": "1976"}, {"1": ["1976"]}, {"1": 0.0}))
    assert v2 == {
        "exact": 100.0, "f1": 100.0, "total": 1, "HasAns_exact": 100.0, "HasAns_f1": 100.0, "HasAns_total": 1,
        "best_exact": 100.0, "best_exact_thresh": 0.0, "best_f1": 100.0, "best_f1_thresh": 0.0,
    }  # fmt: skip


def test_metrics_describe_their_rows_as_the_hubs_do():
    text = datasets.Value("string")
    reference = {"id": text, "answers": datasets.Sequence({"text": text, "answer_start": datasets.Value("int32")})}
    v1, v2 = load("squad"), load("squad_v2")
    prediction = {"id": text, "prediction_text": text}
    assert v1.features == datasets.Features({"predictions": prediction, "references": reference})
    prediction = prediction | {"no_answer_probability": datasets.Value("float32")}
    assert v2.features == datasets.Features({"predictions": prediction, "references": reference})
    assert (v1.name, v2.name) == ("squad", "squad_v2")


def test_predictions_and_references_can_be_added_in_batches():
    metric = load("squad")
    for text in ("cat", "dog"):
        metric.add_batch(**as_rows({text: text}, {text: ["cat"]}))
    assert metric.compute() == {"exact_match": 50.0, "f1": 50.0}


def test_the_language_of_a_metric_object_counts():
    rows = as_rows({"1": "el gato"}, {"1": ["gato"]})
    assert load("squad", "es").compute(**rows)["exact_match"] == 100.0
    assert load("squad").compute(**rows)["exact_match"] == 0.0
    rows = as_rows({"1": "el gato"}, {"1": ["gato"]}, {"1": 0.0})
    assert load("squad_v2", language="es").compute(**rows)["exact"] == 100.0


def test_an_unknown_metric_is_refused():
    with pytest.raises(ConfigError, match="wanted one of squad, squad_v2"):
        load.__wrapped__("squad_v3")  # past the shape checks, which know the two names as well


# --- What v1.1 and v2.0 do with nothing ---


def test_f1_of_two_texts_that_normalise_to_nothing_is_0_in_v1_and_1_in_v2():
    texts, references = {"1": "the"}, {"1": ["a.", "."]}
    assert score(texts, references) == {"exact_match": 100.0, "f1": 0.0}
    assert raw_scores(texts, references, metric="squad_v2").f1.tolist() == [1.0]


def test_v2_leaves_out_references_that_normalise_to_nothing():
    texts, references = {"1": "", "2": "cat"}, {"1": ["the", "cat"], "2": ["the", "cat"]}
    assert raw_scores(texts, references).exact.tolist() == [0.0, 1.0]
    assert raw_scores(texts, references, metric="squad").exact.tolist() == [1.0, 1.0]
    assert raw_scores({"1": ""}, {"1": ["the"]}).exact.tolist() == [1.0]


def test_an_example_whose_references_normalise_to_nothing_still_counts_as_answerable():
    rows = as_rows({"1": ""}, {"1": ["the"]}, {"1": 2.0})
    scores = load("squad_v2").compute(**rows)
    assert "NoAns_total" not in scores
    assert scores["exact"] == 0.0
    assert scores["best_exact"] == 100.0


def test_v1_names_an_example_without_references():
    with pytest.raises(MetricError, match="'q7' has no reference"):
        load("squad").compute(**as_rows({"q1": "x", "q7": "y"}, {"q1": ["x"], "q7": []}))


def test_without_unanswerable_examples_the_scores_are_v1s_and_null_odds_do_not_count():
    assert score({"1": "cat"}, {"1": ["cat"]}, null_odds={"1": 99.0}) == {"exact_match": 100.0, "f1": 100.0}


def test_exact_match_and_f1_take_the_best_reference_of_one_example():
    assert exact_match("The Cat!", ["dog", "cat"]) == 1.0
    assert f1("black cat", ["dog", "cat"]) == pytest.approx(2 / 3)
    assert f1("cat cat dog", ["cat cat"]) == 0.8
    assert (exact_match("", []), f1("", [])) == (1.0, 1.0)
    assert (exact_match("cat", []), f1("cat", [])) == (0.0, 0.0)


# --- The no-answer threshold ---


def test_no_answer_threshold_is_1_by_default_and_compares_strictly():
    texts, references = {"at": "cat", "above": "cat"}, {"at": ["cat"], "above": ["cat"]}
    rows = as_rows(texts, references, {"at": 1.0, "above": 1.0000001192092896})
    assert load("squad_v2").compute(**rows)["exact"] == 50.0


def test_null_odds_at_the_threshold_are_answered():
    texts, references = {"1": "cat", "2": "cat"}, {"1": ["cat"], "2": []}
    scores = score(texts, references, null_odds={"1": 3.0, "2": 3.5}, threshold=3.0)
    assert (scores["HasAns_exact"], scores["NoAns_exact"]) == (100.0, 100.0)


def test_the_official_best_threshold_takes_ties_one_by_one_in_the_order_of_the_predictions():
    texts, references = {"1": "cat", "2": "cat"}, {"1": ["cat"], "2": []}
    answered_first = score(texts, references, null_odds={"1": 5.0, "2": 5.0})
    assert (answered_first["best_exact"], answered_first["best_exact_thresh"]) == (100.0, 5.0)
    answered_last = score(texts, references, null_odds={"2": 5.0, "1": 5.0})
    assert (answered_last["best_exact"], answered_last["best_exact_thresh"]) == (50.0, 0.0)


def test_best_threshold_does_not_separate_equal_null_odds():
    shares, odds, answerable = np.array([1.0, 0.0]), np.array([5.0, 5.0]), np.array([True, False])
    assert best_threshold(shares, odds, answerable) == (0.0, 50.0)


@pytest.mark.parametrize(
    ("shares", "odds", "answerable", "wanted"),
    [
        ([1.0, 0.0], [-2.0, 4.0], [True, False], (0.0, 100.0)),  # 0 lies between
        ([1.0, 0.0], [2.0, 4.0], [True, False], (3.0, 100.0)),  # the middle
        ([1.0, 1.0], [2.0, 4.0], [True, True], (5.0, 100.0)),  # all are answered
        ([0.0, 0.0], [-2.0, -4.0], [False, False], (-5.0, 100.0)),  # none is answered
        ([1.0, 0.0, 1.0], [-3.0, -1.0, 1.0], [True, False, True], (-2.0, 200 / 3)),  # -2 as good as 2
        ([1.0], [np.inf], [True], (0.0, 0.0)),  # +inf is never answered
        ([1.0, 0.0], [1.0, np.nextafter(1.0, 2.0)], [True, False], (1.0, 100.0)),  # nothing lies between
        ([1.0, 0.0], [1 + EPSILON, 1 + 2 * EPSILON], [True, False], (1 + EPSILON, 100.0)),  # the middle rounds up
    ],
)
def test_best_threshold_chooses_the_nearest_to_0_of_equally_good_ones(shares, odds, answerable, wanted):
    assert best_threshold(np.array(shares), np.array(odds), np.array(answerable)) == wanted


@settings(deadline=None, max_examples=200)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([0.0, 0.1, 0.7, 1.0]),
            st.sampled_from([*ODDS, np.inf]) | st.floats(-20, 20),
            st.booleans(),
        ),
        min_size=1,
        max_size=12,
    )
)
@with_example([(1.0, 0.0, True), (0.0, 5e-324, False)])
def test_best_threshold_is_as_good_as_any_and_gives_what_it_says(rows):
    shares, odds, answerable = (np.array(column) for column in zip(*rows, strict=True))

    def score_at(threshold):
        return 100.0 * np.where(odds > threshold, ~answerable, shares).mean()

    threshold, best = best_threshold(shares, odds, answerable)
    tries = [-1e9, 1e9, *odds[np.isfinite(odds)], *(odds[np.isfinite(odds)] + 1e-9)]
    assert score_at(threshold) == pytest.approx(best)
    assert best >= max(score_at(tried) for tried in tries) - 1e-6
    assert threshold == 0.0 or score_at(0.0) < best - 1e-9


def test_best_threshold_refuses_null_odds_that_it_cannot_order():
    for odds in ([np.nan], [-np.inf], []):
        shares = np.zeros(len(odds))
        with pytest.raises(MetricError, match="cannot fit a threshold"):
            best_threshold(shares, np.array(odds, dtype=float), shares > 0)


# --- Ids on one side only, as the official scripts take them ---


def official_squad(texts, references):
    """v1.1 as published: an unanswered question has a score of 0, what is answered besides is not looked at."""
    total = exact = f1_sum = 0
    for example_id, answers in references.items():
        total += 1
        if example_id not in texts:
            continue
        exact += max(plain_exact(answer, texts[example_id]) for answer in answers)
        f1_sum += max(plain_f1(answer, texts[example_id], empty_texts_match=False) for answer in answers)
    return {"exact_match": 100.0 * exact / total, "f1": 100.0 * f1_sum / total}


def test_missing_ids_count_zero_and_others_nothing_where_that_is_asked_for():
    rng = random.Random(3)
    for _ in range(200):
        texts, references, _ = random_data(rng, 8, fewest=1)
        some = {key: text for key, text in texts.items() if rng.random() < 0.7} | {"other": "x"}
        found = score(some, references, missing="zero")
        assert found == pytest.approx(official_squad(some, references))
        with pytest.raises(MetricError, match=r"has a (prediction|reference) but no"):
            score(some, references)


def test_an_example_without_a_prediction_is_wrong_in_v2_whether_it_has_an_answer_or_not():
    references = {"a": ["cat"], "b": [], "c": ["dog"], "d": []}
    texts, null_odds = {"a": "cat", "b": "x", "z": "?"}, {"a": -1.0, "b": 1.0, "z": 0.0}
    found = score(texts, references, null_odds=null_odds, missing="zero")
    assert (found["exact"], found["HasAns_exact"], found["NoAns_exact"]) == (50.0, 50.0, 50.0)
    assert (found["total"], found["HasAns_total"], found["NoAns_total"]) == (4, 2, 2)
    assert (found["best_exact"], found["best_exact_thresh"]) == (50.0, -1.0)
    always_null = score(texts, references, null_odds=null_odds, missing="zero", threshold=-100.0)
    assert always_null["NoAns_exact"] == 50.0


def test_without_missing_ids_the_option_changes_nothing():
    rng = random.Random(8)
    for _ in range(50):
        texts, references, null_odds = random_data(rng, 6, fewest=0)
        references["q0"] = []
        one, other = (score(texts, references, null_odds=null_odds, missing=how) for how in ("error", "zero"))
        assert same(one, other)


def test_no_prediction_at_all_counts_zero_and_no_reference_at_all_is_an_error():
    assert score({}, {"1": ["x"]}, missing="zero") == {"exact_match": 0.0, "f1": 0.0}
    assert score({}, {"1": []}, null_odds={}, missing="zero")["exact"] == 0.0
    with pytest.raises(MetricError, match="no references"):
        score({"1": "x"}, {}, missing="zero")
