"""Answers beside the rows of a frame."""

import pytest

pd = pytest.importorskip("pandas", reason="needs pandas; pip install 'extractive-qa[pandas]'")

import qa
from qa.adapters.pandas import answer_frame
from qa.errors import DataError, ExampleError, ModelError
from tests.support.predictors import CONTEXT, QUESTION, pairs


def test_a_frame_of_questions_gets_answers_with_the_same_index(predictor):
    frame = pd.DataFrame(pairs(4), index=[3, 1, 7, 5]).rename(columns={"context": "text"})
    found = answer_frame(frame, predictor, context="text", max_answer_length=3)
    assert list(found.index) == [3, 1, 7, 5]
    wanted = predictor(pairs(4), max_answer_length=3)
    assert found.to_dict("records") == [{name: row[name] for name in found.columns} for row in wanted]
    assert list(found.columns) == ["answer", "score", "start", "end", "no_answer_score"]


def test_an_empty_frame_has_no_answers_and_a_cell_without_text_is_named(predictor):
    frame = pd.DataFrame({"question": [QUESTION, QUESTION], "context": [CONTEXT, None]})
    nothing = answer_frame(frame[:0], predictor)
    assert len(nothing) == 0
    assert nothing.dtypes.to_dict() == answer_frame(frame[:1], predictor).dtypes.to_dict()
    with pytest.raises(ExampleError, match=r"input 1: context is (None|nan); wanted text"):
        answer_frame(frame, predictor)


def test_every_row_has_one_answer_whatever_the_call_says_of_more(predictor):
    frame = pd.DataFrame(pairs(2))
    wanted = answer_frame(frame, predictor)
    assert answer_frame(frame, predictor, topk=3).equals(wanted)
    assert answer_frame(frame, predictor, top_k=3, answers="all").equals(wanted)


def test_a_pipeline_s_reader_is_taken_and_what_is_none_is_named(predictor, folder):
    frame = pd.DataFrame(pairs(2))
    assert answer_frame(frame, qa.pipeline(model=folder, device="cpu")).equals(answer_frame(frame, predictor))
    with pytest.raises(ModelError, match=r"reader is 5; wanted a Predictor, or what qa\.pipeline returns"):
        answer_frame(frame, 5)


def test_a_name_of_several_columns_is_refused(predictor):
    frame = pd.DataFrame(pairs(2))
    for columns in (pd.concat([frame, frame], axis=1), pd.concat({"question": frame, "context": frame}, axis=1)):
        with pytest.raises(DataError, match="found a table of 2 columns as 'question'; wanted the name of one column"):
            answer_frame(columns, predictor)
