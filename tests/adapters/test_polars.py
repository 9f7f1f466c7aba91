"""Answers as an expression."""

import pytest

pl = pytest.importorskip("polars", reason="needs Polars; pip install 'extractive-qa[polars]'")

import qa
from qa.adapters.polars import ANSWER, answer_expression
from tests.support.predictors import CONTEXT, pairs


def test_an_expression_answers_every_row(predictor):
    frame = pl.DataFrame(pairs(4)).rename({"context": "text"})
    expression = answer_expression(predictor, context="text", max_answer_length=3)
    found = frame.with_columns(expression)["answer"]
    assert found.dtype == ANSWER
    wanted = predictor(pairs(4), max_answer_length=3)
    assert found.to_list() == [{field.name: row[field.name] for field in ANSWER.fields} for row in wanted]
    assert frame.lazy().select(expression).collect()["answer"].to_list() == found.to_list()


def test_one_question_may_be_asked_of_all_rows(predictor):
    frame = pl.DataFrame({"context": [CONTEXT, CONTEXT]})
    found = frame.select(answer_expression(predictor, question=pl.lit("Who?")))["answer"].to_list()
    assert [row["answer"] for row in found] == [predictor(question="Who?", context=CONTEXT)["answer"]] * 2


def test_no_rows_have_no_answers(predictor):
    frame = pl.DataFrame(pairs(1))[:0]
    assert frame.select(answer_expression(predictor))["answer"].to_list() == []


def test_a_pipeline_s_reader_is_taken_and_every_row_has_one_answer(predictor, folder):
    frame = pl.DataFrame(pairs(2))
    wanted = frame.select(answer_expression(predictor))["answer"].to_list()
    pipeline = qa.pipeline(model=folder, device="cpu")
    assert frame.select(answer_expression(pipeline, topk=3))["answer"].to_list() == wanted
