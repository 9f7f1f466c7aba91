"""Readers that find all answers: what a call returns, and what it refuses."""

import dataclasses
import itertools
import json

import numpy as np
import pytest

import qa
from qa.errors import ConfigError
from qa.inference.predictor import Predictor
from qa.inference.several import all_answers_of
from tests.support.predictors import CONTEXT, FINDS_ALL, KEYS, QUESTION, saved, with_settings
from tests.support.scored import predictions


@pytest.fixture(scope="module")
def tokens_folder(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("tokens"), own=FINDS_ALL)


@pytest.fixture(scope="module")
def several(tokens_folder):
    return Predictor.from_pretrained(tokens_folder, device="cpu")


def test_a_reader_of_all_answers_returns_a_list_of_disjoint_ones(several):
    found = several(question=QUESTION, context=CONTEXT)
    assert len(found) > 1
    assert all(set(one) == KEYS for one in found)
    assert [one["score"] for one in found] == sorted((one["score"] for one in found), reverse=True)
    assert all(one["answer"] == CONTEXT[one["start"] : one["end"]] for one in found)
    places = sorted((one["start"], one["end"]) for one in found)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(places))
    assert several([{"question": QUESTION, "context": CONTEXT}]) == [found]


def test_the_list_may_be_empty_and_is_as_short_as_asked(several):
    assert several(question=QUESTION, context=CONTEXT, no_answer=-50.0) == []
    assert len(several(question=QUESTION, context=CONTEXT, top_k=2)) == 2


def test_scores_are_above_a_half_where_the_reader_would_answer(several):
    options = several.options(answers="all")
    threshold = with_settings(several, no_answer_threshold=-1.0)
    for one in threshold(question=QUESTION, context=CONTEXT):
        assert one["score"] >= 0.5 - 1e-6
        assert one["no_answer_score"] <= 0.5 + 1e-6
    assert options.threshold == 50.0


def test_one_answer_is_returned_where_any_is_wanted(several):
    found = several(question=QUESTION, context=CONTEXT, answers="any")
    assert found["answer"] == several(question=QUESTION, context=CONTEXT)[0]["answer"]


def test_a_reader_of_spans_returns_all_answers_when_asked(predictor):
    found = predictor(question=QUESTION, context=CONTEXT, answers="all", no_answer=30.0)
    best = predictor(question=QUESTION, context=CONTEXT, no_answer=30.0)
    assert len(found) > 1
    assert found[0]["answer"] == best["answer"]


def test_evidence_of_a_reader_of_tokens_stands_in_its_document(several):
    (found,) = several.evidence(QUESTION, [CONTEXT], min_score=0.0)
    assert found
    assert all(one["text"] == CONTEXT[one["start"] : one["end"]] for one in found)


def test_answers_that_overlap_once_they_are_grown_to_words_are_listed_once(several):
    made = predictions([[3.0, 2.0]], [0.0])
    made = dataclasses.replace(made, start=np.array([0, 3]), end=np.array([3, 6]), independent=True)
    given = {"answers": "all", "top_k": 5, "no_answer": 0.0}
    grown, plain = (
        list(all_answers_of(made, ["twowords"], several.options(align_to_words=align, **given)))
        for align in (True, False)
    )
    assert [one["answer"] for one in grown[0]] == ["twowords"]
    assert [one["answer"] for one in plain[0]] == ["two", "wor"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"score": "window"}, "the reader has the head tokens"),
        ({"answers": "some"}, "answers is 'some'; wanted one of 'any', 'all'"),
    ],
)
def test_what_cannot_be_is_refused(options, message, several):
    with pytest.raises(ConfigError, match=message):
        several(question=QUESTION, context=CONTEXT, **options)


def test_the_removed_pipeline_has_no_such_scores(tokens_folder, predictor):
    with pytest.raises(ConfigError, match="head tokens"):
        qa.pipeline("question-answering", model=str(tokens_folder), device="cpu")
    with pytest.raises(ConfigError, match="wanted one of them"):
        predictor(question=QUESTION, context=CONTEXT, answers="all", score="window")


def test_the_head_is_saved_with_the_reader(tokens_folder):
    assert json.loads((tokens_folder / "reader.json").read_text())["head"] == "tokens"
