"""What a client may send: the words of the OpenAPI document are those of the predictor."""

import dataclasses

import pytest
from pydantic import TypeAdapter, ValidationError

from qa.inference import answers
from qa.inference.options import CallOptions
from qa.serving import schema
from qa.serving.schema import MOST_CHARACTERS_TOGETHER, Limits, ManyQuestions, OneQuestion, Options, Questions, Search

WHOLE = {"question": "Who?", "context": "Ada."}
parse = TypeAdapter(Questions).validate_python


def test_a_body_is_one_question_or_many_by_its_inputs():
    assert isinstance(parse(WHOLE), OneQuestion)
    many = parse({"inputs": [WHOLE, WHOLE], "top_k": 2})
    assert isinstance(many, ManyQuestions)
    assert (many.inputs[1].context, many.top_k) == ("Ada.", 2)


def test_options_reach_the_predictor_under_its_own_names():
    given = {"top_k": 3, "max_answer_length": 7, "no_answer": False, "align_to_words": True}
    given |= {"overlap": 0.5, "max_question_length": 9}
    call = parse(WHOLE | given).as_call()
    assert call == given | {"answers": "any"}
    assert call.keys() <= CallOptions.__annotations__.keys()
    assert Options().as_call() == {
        "top_k": 1,
        "max_answer_length": None,
        "no_answer": None,
        "align_to_words": False,
        "overlap": None,
        "max_question_length": None,
    }


@pytest.mark.parametrize(("more", "top_k"), [({}, None), ({"top_k": 3}, 3)])
def test_all_answers_are_all_unless_it_is_said_how_many(more, top_k):
    call = parse(WHOLE | {"answers": "all"} | more).as_call()
    assert (call["answers"], call["top_k"]) == ("all", top_k)


@pytest.mark.parametrize(("name", "own"), [("Answer", "Answer"), ("PassageAnswer", "DocumentAnswer")])
def test_what_a_client_gets_is_what_the_predictor_says(name, own):
    assert getattr(schema, name).model_fields.keys() == getattr(answers, own).__annotations__.keys()


@pytest.mark.parametrize(
    "more",
    [{"top_k": 20}, {"top_k": 1}, {"max_answer_length": 200}, {"no_answer": None}, {"question": "x" * 2000}],
)
def test_the_borders_are_taken(more):
    assert isinstance(parse(WHOLE | more), OneQuestion)


@pytest.mark.parametrize(
    "more",
    [
        {"top_k": 21},
        {"top_k": 1.0},
        {"top_k": True},
        {"max_answer_length": 201},
        {"max_answer_length": 0},
        {"no_answer": "no"},
        {"question": "x" * 2001},
        {"context": "\u2003"},
        {"inputs": None},
    ],
)
def test_what_lies_beyond_is_refused(more):
    with pytest.raises(ValidationError):
        parse(WHOLE | more)


def test_all_texts_of_a_request_count_together():
    half = "x" * (MOST_CHARACTERS_TOGETHER // 2)
    assert len(Search(question="q", contexts=[half, half]).contexts) == 2
    with pytest.raises(ValidationError):
        Search(question="q", contexts=[half, half, "x"])
    with pytest.raises(ValidationError):
        parse({"inputs": [{"question": "q", "context": text} for text in (half, half, "x")]})


def test_limits_hold_the_longest_request():
    """JSON may write a character with 12 bytes: a pair of escaped surrogates."""
    assert all(value > 0 for value in dataclasses.asdict(Limits()).values())
    assert Limits().body_bytes >= 12 * schema.MOST_CHARACTERS
    assert Limits().waiting >= Limits().inputs
