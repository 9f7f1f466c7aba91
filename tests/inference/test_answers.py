"""The dicts that a caller gets: their number, order, shares, and which of overlapping ones are listed."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qa.decoding.platt import Platt
from qa.inference.answers import Span, listed_spans, place_shares
from qa.inference.records import records_of
from qa.inference.words import word_borders
from tests.support.predictors import CONTEXT, QUESTION, pairs, with_settings


def test_more_answers_are_a_list_for_every_input(predictor):
    best = predictor(question=QUESTION, context=CONTEXT)
    single = predictor(question=QUESTION, context=CONTEXT, top_k=4)
    several = predictor(question=[QUESTION], context=CONTEXT, top_k=4)
    assert [single] == several
    assert single[0] == best
    assert len(single) == 4
    assert [one["score"] for one in single] == sorted((one["score"] for one in single), reverse=True)


def test_probabilities_of_all_answers_sum_to_one(predictor):
    many = with_settings(predictor, n_best=50)(question=QUESTION, context="Yes, no.", top_k=50)
    assert sum(one["score"] for one in many) == pytest.approx(1)
    assert [one["score"] for one in many if not one["answer"]] == [many[0]["no_answer_score"]]


def test_aligned_answers_end_at_words_and_come_once(predictor):
    plain = predictor(pairs(10), top_k=50, no_answer=False)
    aligned = predictor(pairs(10), top_k=20, no_answer=False, align_to_words=True)
    assert plain != aligned
    for asked, found, raw in zip(pairs(10), aligned, plain, strict=True):
        places = [(one["start"], one["end"]) for one in found]
        assert len(set(places)) == len(places)
        wanted = dict.fromkeys(word_borders(asked["context"], one["start"], one["end"]) for one in raw)
        assert places == list(wanted)[:20]
        assert all(asked["context"][one["start"] : one["end"]] == one["answer"] for one in found)


# --- one score ---


@pytest.mark.parametrize("call", [{}, {"align_to_words": True}, {"answers": "all", "no_answer": 30.0}])
def test_the_fitted_line_changes_scores_only(predictor, call):
    fitted = Platt(0.7, 1.2)
    tuned = with_settings(predictor, confidence_slope=fitted.slope, confidence_shift=fitted.shift)
    plain, scored = (one(question=QUESTION, context=CONTEXT, top_k=4, **call) for one in (predictor, tuned))
    assert [one["answer"] for one in scored] == [one["answer"] for one in plain]
    assert [one["score"] for one in scored] != [one["score"] for one in plain]
    shares = [one["score"] for one in plain]
    likelihoods = fitted.likelihood(np.array(shares)).tolist()
    wanted = [score if one["answer"] else share for one, score, share in zip(plain, likelihoods, shares, strict=True)]
    assert [one["score"] for one in scored] == pytest.approx(wanted, rel=1e-9)
    assert [one["no_answer_score"] for one in scored] == [one["no_answer_score"] for one in plain]
    assert all(one["place_score"] >= one["score"] for one in scored)
    rows = [{"question": QUESTION, "context": CONTEXT}]
    options = tuned.options(top_k=4, **call)
    (record,) = records_of([CONTEXT], next(tuned.predictions(rows, options))[1], options)
    assert record["answers"] == scored


def test_the_score_of_an_answer_does_not_depend_on_how_many_are_asked_for(predictor):
    for call in ({}, {"align_to_words": True}, {"overlap": 0.0}, {"no_answer": False}):
        best = [predictor(question=QUESTION, context=CONTEXT, top_k=k, **call) for k in (1, 2, 20, 50, 200, 10**12)]
        firsts = [found if isinstance(found, dict) else found[0] for found in best]
        for one in firsts[1:]:
            assert one == firsts[0]
        for few, more in itertools.pairwise(best[1:]):
            spans = [[one["answer"] for one in found if one["answer"]] for found in (few, more)]
            assert spans[0] == spans[1][: len(spans[0])]


def test_all_answers_are_as_many_as_there_are_spans(predictor):
    found = predictor(question=QUESTION, context="Yes, no.", top_k=10**12, no_answer=False, max_answer_length=10**12)
    assert len({(one["start"], one["end"]) for one in found}) == len(found) < 200


def test_answers_of_a_search_have_one_score_too(predictor):
    few, many = (predictor.search(QUESTION, [CONTEXT, "No."], top_k=k) for k in (2, 60))
    assert many[:2] == few


# --- overlap ---


def test_overlapping_answers_are_listed_unless_the_call_says_otherwise(predictor):
    every = predictor(question=QUESTION, context=CONTEXT, top_k=8, no_answer=False)
    apart = predictor(question=QUESTION, context=CONTEXT, top_k=8, no_answer=False, overlap=0)
    assert every == predictor(question=QUESTION, context=CONTEXT, top_k=8, no_answer=False, overlap=1.0)
    assert every[0] == apart[0]
    taken = sorted((one["start"], one["end"]) for one in apart)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(taken))
    assert any(one["start"] < every[0]["end"] and every[0]["start"] < one["end"] for one in every[1:])
    assert 1 < len(apart) <= 8


def test_a_search_suppresses_overlaps_within_a_passage_only(predictor):
    found = predictor.search(QUESTION, [CONTEXT, CONTEXT], top_k=6, overlap=0)
    assert [one["passage"] for one in found[:2]] == [0, 1]
    assert found[0]["answer"] == found[1]["answer"]
    for one in found:
        others = [other for other in found if other is not one and other["passage"] == one["passage"]]
        assert all(other["end"] <= one["start"] or one["end"] <= other["start"] for other in others)


def test_probabilities_of_places_sum_to_one_with_that_of_no_answer(predictor):
    every = with_settings(predictor, n_best=500)
    apart = every(question=QUESTION, context="Yes, no.", top_k=50, overlap=0)
    assert sum(one["place_score"] for one in apart) == pytest.approx(1)
    assert sum(one["score"] for one in apart) < 0.99
    assert all(one["place_score"] >= one["score"] for one in apart)
    listed = every(question=QUESTION, context="Yes, no.", top_k=50)
    assert {one["place_score"] for one in listed} == {one["place_score"] for one in apart}


spans = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 12), st.integers(1, 6)).map(
        lambda one: Span(one[0], one[1], one[1] + one[2])
    ),
    unique=True,
    max_size=12,
)


def shared(one, other):
    """In common, of the shorter: counted character by character."""
    common = [at for at in range(20) if one.start <= at < one.end and other.start <= at < other.end]
    return len(common) / min(one.end - one.start, other.end - other.start) if one.text == other.text else 0


@given(spans, st.sampled_from([0.0, 0.34, 0.5, 1.0]), st.integers(1, 5))
@settings(max_examples=200, deadline=None)
def test_listed_spans_equal_the_dull_way(ranked, overlap, most):
    kept = []
    for span in ranked:
        if all(shared(span, other) <= overlap for other in kept):
            kept.append(span)
    assert [ranked[row] for row in listed_spans(ranked, most=most, overlap=overlap)] == kept[:most]


def test_the_probability_of_a_place_is_at_most_one():
    """In floats, these shares sum to more."""
    shares = [0.7, 0.1, 0.2, 2**-52]
    assert sum(shares) > 1.0
    nested = [Span(0, 0, end) for end in (4, 3, 2, 1)]
    assert place_shares(nested, shares, [True] * 4, shares) == [1.0] * 4


@given(spans, st.data())
@settings(max_examples=200, deadline=None)
def test_place_shares_equal_the_dull_way(ranked, data):
    counted = data.draw(st.lists(st.booleans(), min_size=len(ranked), max_size=len(ranked)))
    values = np.arange(1.0, len(ranked) + 1) / max(1, sum(range(len(ranked) + 1)))
    groups = []
    for row, span in enumerate(ranked):
        group = next((group for group in groups if shared(span, ranked[group[0]]) > 0), None)
        if group is None:
            groups.append([row])
        else:
            group.append(row)
    wanted = {row: sum(values[at] for at in group if counted[at]) for group in groups for row in group}
    found = place_shares(ranked, values.tolist(), counted, [0.0] * len(ranked))
    assert found == pytest.approx([wanted[row] for row in range(len(ranked))])
    scores = data.draw(st.lists(st.floats(0.0, 1.0), min_size=len(ranked), max_size=len(ranked)))
    least = {row: max(wanted[row], *(scores[at] for at in group)) for group in groups for row in group}
    found = place_shares(ranked, values.tolist(), counted, scores)
    assert found == pytest.approx([least[row] for row in range(len(ranked))])
