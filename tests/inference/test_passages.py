"""Searches: documents and what is known of them; words that passages share with the question; which ones are read."""

import numpy as np
import pyarrow as pa
import pytest

from qa.errors import ConfigError, ExampleError
from qa.inference.passages import best_of_each, passage_rows
from tests.support.predictors import CONTEXT, QUESTION, with_settings

TEXTS = [
    "Nothing of it is known here.",
    CONTEXT,
    "A long river has no name.",
    f"{CONTEXT} So it is told again and again, in many a book.",
]


def test_what_is_known_of_documents_comes_back(predictor):
    documents = [{"text": text, "meta": {"page": at}, "id": f"d{at}"} for at, text in enumerate(TEXTS)]
    found = predictor.search(QUESTION, documents, top_k=8)
    plain = predictor.search(QUESTION, TEXTS, top_k=8)
    assert [{name: one[name] for name in plain[0]} for one in found] == plain
    for one in found:
        assert (one["id"], one["meta"], one["page"]) == (f"d{one['passage']}", {"page": one["passage"]}, one["passage"])
    mixed = predictor.search(QUESTION, [TEXTS[0], *documents[1:]], top_k=8)
    assert [one.get("id") for one in mixed] == [None if one["passage"] == 0 else one["id"] for one in found]


def test_documents_may_come_from_a_generator_over_several_chunks(predictor, monkeypatch):
    documents = [{"text": f"{CONTEXT} {at}", "id": str(at)} for at in range(6)]
    whole = predictor.search(QUESTION, documents)
    monkeypatch.setattr("qa.inference.inputs.CHARACTERS_AT_ONCE", 150)
    assert predictor.search(QUESTION, iter(documents)) == whole
    assert all(one["id"] == str(one["passage"]) for one in whole)


def test_the_best_of_each_passage_is_that_of_a_search_in_it_alone(predictor):
    options = predictor.options()
    found = best_of_each(predictor.chunks(passage_rows(QUESTION, TEXTS), options), options)
    alone = [predictor.search(QUESTION, [text], top_k=1)[0]["log_odds"] for text in TEXTS]
    np.testing.assert_allclose(found, alone, rtol=1e-5)


# --- shared words ---


def first_passages(predictor, **options):
    return [one["passage"] for one in predictor.search("Who named the Amazon?", TEXTS, **options)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lexical_weight": -1.0}, r"lexical_weight is -1\.0; wanted a number, 0 or more"),
        ({"lexical_weight": float("nan")}, "lexical_weight is nan"),
        ({"prefilter": 0}, "prefilter is 0; wanted a whole number, 1 or more"),
    ],
)
def test_options_out_of_range_are_refused(predictor, options, message):
    with pytest.raises(ConfigError, match=message):
        predictor.search(QUESTION, TEXTS, **options)


def test_the_question_is_checked_first_whatever_is_searched(predictor):
    for question in (None, b"x", "", " "):
        for options in ({}, {"lexical_weight": 1}):
            for passages in ([], TEXTS):
                with pytest.raises(ExampleError, match=r"^question is .*; wanted text$"):
                    predictor.search(question, passages, **options)
        with pytest.raises(ExampleError, match=r"^question is .*; wanted text$"):
            predictor.evidence(question, [])


def test_weights_may_be_numpy_s(predictor):
    pytest.importorskip("bm25s", reason="needs bm25s; pip install 'extractive-qa[search]'")
    for number in (np.float32(0.5), np.int64(1)):
        wanted = predictor.search(QUESTION, TEXTS, lexical_weight=float(number))
        assert predictor.search(QUESTION, TEXTS, lexical_weight=number) == wanted


def test_passages_may_be_arrow_s(predictor):
    texts = pa.array(TEXTS)
    assert predictor.search(pa.scalar(QUESTION), texts) == predictor.search(QUESTION, TEXTS)
    assert predictor.search(QUESTION, list(texts)) == predictor.search(QUESTION, TEXTS)
    documents = [{"text": text, "id": str(at)} for at, text in enumerate(TEXTS)]
    assert predictor.search(QUESTION, pa.array(documents)) == predictor.search(QUESTION, documents)


def test_words_count_as_much_as_is_said_or_fitted(predictor):
    pytest.importorskip("bm25s", reason="needs bm25s; pip install 'extractive-qa[search]'")
    assert set(first_passages(predictor, lexical_weight=1e3)) == {1}
    assert first_passages(predictor, lexical_weight=0.0) == first_passages(predictor)
    fitted = with_settings(predictor, lexical_weight=1e3)
    assert first_passages(fitted) == first_passages(predictor, lexical_weight=1e3)
    weighed = predictor.search(QUESTION, TEXTS, lexical_weight=0.1, top_k=20)
    plain = {
        (one["passage"], one["start"], one["end"]): one["log_odds"]
        for one in predictor.search(QUESTION, TEXTS, top_k=200)
    }
    losses = {one["passage"]: plain[one["passage"], one["start"], one["end"]] - one["log_odds"] for one in weighed}
    assert losses[1] == pytest.approx(0, abs=1e-6)
    assert all(loss > 0 for passage, loss in losses.items() if passage != 1)


def test_only_the_best_by_words_are_read(predictor):
    pytest.importorskip("bm25s", reason="needs bm25s; pip install 'extractive-qa[search]'")
    assert set(first_passages(predictor, prefilter=2, top_k=40)) == {1, 3}
    documents = [{"text": text, "id": f"d{at}"} for at, text in enumerate(TEXTS)]
    found = predictor.search("Who named the Amazon?", documents, prefilter=1)
    assert {(one["passage"], one["id"]) for one in found} == {(1, "d1")}
    assert all(TEXTS[one["passage"]][one["start"] : one["end"]] == one["answer"] for one in found)
    assert predictor.search(QUESTION, [], prefilter=3) == []
    with pytest.raises(ExampleError, match="input 1: context is None"):
        predictor.search(QUESTION, [CONTEXT, None], prefilter=3)
    with pytest.raises(ExampleError, match="input 1: context is ' '; wanted text"):
        predictor.search(QUESTION, [CONTEXT, " "], prefilter=1)


def test_the_same_passage_with_a_handicap_of_none_is_the_same_search(predictor):
    pytest.importorskip("bm25s", reason="needs bm25s; pip install 'extractive-qa[search]'")
    assert predictor.search(QUESTION, TEXTS, prefilter=4) == predictor.search(QUESTION, TEXTS)
