"""What is wrong with a body, in words that a client can act on, and without the body."""

import pytest
from pydantic import TypeAdapter, ValidationError

from qa.serving.evidence import GroundRequest
from qa.serving.problems import describe
from qa.serving.schema import MOST_CHARACTERS, Questions, Search

WHOLE = {"question": "Who?", "context": "Ada."}
SEARCH = {"question": "q", "contexts": ["a"]}
GROUND = {"answer": "a", "sources": ["a"]}


def nested(depth):
    """Lists in lists."""
    return {"x": [] if depth == 1 else [nested(depth - 1)]}


def told(kind, body):
    """As the framework tells it: the place begins with the part of the request."""
    with pytest.raises(ValidationError) as error:
        TypeAdapter(kind).validate_python(body)
    return describe([{**one, "loc": ("body", *one["loc"])} for one in error.value.errors()])


@pytest.mark.parametrize(
    ("kind", "body", "wanted"),
    [
        (Questions, {"question": "Who?"}, "context is missing"),
        (Questions, WHOLE | {"topk": 3}, "topk is not a field of this request"),
        (Questions, WHOLE | {"question": ""}, "question is empty"),
        (Questions, WHOLE | {"question": 7}, "question is no text"),
        (Questions, WHOLE | {"question": " \n"}, "question holds white space only"),
        (
            Questions,
            WHOLE | {"context": "x" * (MOST_CHARACTERS + 1)},
            "context is too long; wanted at most 500,000 characters",
        ),
        (Questions, WHOLE | {"top_k": 0}, "top_k is too small; wanted at least 1"),
        (Questions, WHOLE | {"top_k": 21}, "top_k is too large; wanted at most 20"),
        (Questions, WHOLE | {"top_k": "3"}, "top_k is no whole number"),
        (Questions, WHOLE | {"no_answer": 1}, "no_answer is neither true nor false"),
        (Questions, {"inputs": []}, "inputs is empty; wanted at least 1"),
        (Questions, {"inputs": [WHOLE] * 65}, "inputs has too many entries; wanted at most 64"),
        (Questions, {"inputs": {}}, "inputs is no list"),
        (Questions, {"inputs": [WHOLE, {"question": "q"}]}, "inputs[1].context is missing"),
        (Questions, {"inputs": ["text"]}, "inputs[0] is no object with the fields of a question"),
        (Questions, [], "the body is no object with the fields of a question"),
        (Search, {"question": "q", "contexts": ["a", " "]}, "contexts[1] holds white space only"),
        (Search, {"question": "q", "contexts": [{"id": "a"}]}, "contexts[0].text is missing"),
        (
            Search,
            {"question": "q", "contexts": [{"text": "a", "page": 3}]},
            "contexts[0].page is not a field of this request",
        ),
        (Search, SEARCH | {"contexts": [{"text": "a", "meta": None}]}, "contexts[0].meta is no object"),
        (
            Search,
            SEARCH | {"contexts": [{"text": "a", "meta": {"x": "\ud800"}}]},
            "contexts[0].meta has a text with a lone surrogate",
        ),
        (
            Search,
            SEARCH | {"contexts": [{"text": "a", "meta": {"\ud800": 1}}]},
            "contexts[0].meta has a text with a lone surrogate",
        ),
        (
            Search,
            SEARCH | {"contexts": [{"text": "a", "meta": {"x": [float("inf")]}}]},
            "contexts[0].meta has a number that is not finite",
        ),
        (
            Search,
            SEARCH | {"contexts": [{"text": "a", "meta": nested(40)}]},
            "contexts[0].meta is nested more than 32 deep",
        ),
        (GroundRequest, GROUND | {"answer": 5}, "answer is no text"),
        (GroundRequest, GROUND | {"answer": None}, "answer is no text"),
        (GroundRequest, GROUND | {"answer": [""]}, "answer[0] is empty"),
        (GroundRequest, GROUND | {"answer": [1]}, "answer[0] is no text"),
        (GroundRequest, GROUND | {"answer": ["a"] * 201}, "answer has too many entries; wanted at most 200"),
        (Search, {"question": "q", "contexts": ["a"], "prefilter": 0}, "prefilter is too small; wanted at least 1"),
        (
            Search,
            {"question": "q", "contexts": ["x" * 400_000] * 3},
            "contexts has texts of more than 1,000,000 characters together",
        ),
    ],
)
def test_every_fault_names_the_field_and_what_is_wanted(kind, body, wanted):
    assert told(kind, body) == wanted


def test_a_body_that_is_no_json_says_where():
    error = {"type": "json_invalid", "loc": ("body", 17), "ctx": {"error": "Expecting value"}, "msg": "JSON"}
    assert describe([error]) == "the body is no JSON: Expecting value at character 17"


def test_the_first_five_faults_are_told_in_ascii_and_short():
    found = told(Questions, WHOLE | {"é" * 500 + str(at): 1 for at in range(9)})
    assert found.count("is not a field") == 5
    assert found.isascii()
    assert len(found) < 5 * 300


def test_a_fault_without_words_of_ours_is_the_librarys():
    assert describe([{"type": "new_in_pydantic", "loc": ("body", "top_k"), "msg": "Input should be odd"}]) == (
        "top_k input should be odd"
    )
