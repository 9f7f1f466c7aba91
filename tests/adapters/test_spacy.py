"""Answers in spaCy's docs."""

import pytest

spacy = pytest.importorskip("spacy", reason="needs spaCy; pip install 'extractive-qa[spacy]'")

import qa.adapters.spacy as adapter
from tests.support.predictors import CONTEXT, QUESTION

QUESTIONS = {"namer": QUESTION, "flow": "How much water does it carry?"}


def pipeline(folder, **config):
    nlp = spacy.blank("en")
    nlp.add_pipe("qa_reader", config={"model": str(folder), "questions": QUESTIONS, "device": "cpu"} | config)
    return nlp


def test_a_doc_gets_spans_of_whole_tokens_around_the_answers(folder, predictor):
    doc = pipeline(folder)(CONTEXT)
    wanted = {name: predictor(question=question, context=CONTEXT) for name, question in QUESTIONS.items()}
    found = {span.label_: span for span in doc.spans[adapter.KEY]}
    assert found.keys() == {name for name, answer in wanted.items() if answer["answer"]}
    for name, span in found.items():
        assert wanted[name]["answer"] in span.text
        assert span.start_char <= wanted[name]["start"] < wanted[name]["end"] <= span.end_char
        assert span._.qa_score == wanted[name]["score"]


def found_spans(doc):
    return [(span.start, span.end, span.label_) for span in doc.spans[adapter.KEY]]


def test_many_docs_are_what_each_is(folder):
    nlp, texts = pipeline(folder), [CONTEXT, " ", "", CONTEXT * 2]
    docs = [nlp(text) for text in texts]
    each = [found_spans(doc) for doc in docs]
    assert [found_spans(doc) for doc in list(nlp.pipe(texts, batch_size=3))] == each
    assert each[1] == each[2] == []


def test_answers_below_the_least_score_are_left_out(folder):
    doc = pipeline(folder, min_score=1.0)(CONTEXT)
    assert found_spans(doc) == []
