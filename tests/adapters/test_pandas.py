"""Answers beside the rows of a frame."""

import pytest

pd = pytest.importorskip("pandas", reason="needs pandas; pip install 'extractive-qa[pandas]'")

from qa.adapters.pandas import answer_frame
from qa.errors import ExampleError
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
    assert len(answer_frame(frame[:0], predictor)) == 0
    with pytest.raises(ExampleError, match=r"input 1: context is (None|nan); wanted text"):
        answer_frame(frame, predictor)
