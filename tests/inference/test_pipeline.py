"""The function that transformers removed."""

import pytest

import qa
from qa.errors import ConfigError
from tests.support.predictors import CONTEXT, QUESTION


def test_the_function_pipeline_makes_a_predictor(folder, predictor):
    reader = qa.pipeline("question-answering", model=str(folder), tokenizer=str(folder), device=-1)
    assert reader(question=QUESTION, context=CONTEXT) == predictor(question=QUESTION, context=CONTEXT)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"task": "fill-mask", "model": "m"}, "task is 'fill-mask'"),
        ({}, "found no model"),
        ({"model": "one", "tokenizer": "other"}, "tokenizer is 'other'; wanted none, or the model's, 'one'"),
    ],
)
def test_a_pipeline_that_cannot_be_made_is_refused(given, message):
    with pytest.raises(ConfigError, match=message):
        qa.pipeline(**given)
