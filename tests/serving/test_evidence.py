"""POST /evidence and /ground: the package's own answers, and what is refused."""

import pytest

import qa
from qa.errors import GoneError
from qa.serving.evidence import GroundRequest, GroundTask
from qa.serving.turns import TICKET, Ticket
from tests.support.service import CONTEXT, QUESTION


def test_evidence_is_the_predictors(client, predictor):
    body = {"question": QUESTION, "documents": [CONTEXT, "Nothing."]}
    options = {"min_score": 0.0, "merge_gap": 3, "min_chars": 2, "sentences": True, "top_k": 4, "max_answer_length": 6}
    found = client.post("/evidence", json=body | options)
    assert found.status_code == 200
    assert found.json()["results"] == predictor.evidence(QUESTION, body["documents"], **options)
    assert found.json()["warnings"] == []


@pytest.mark.parametrize("option", [{"min_score": 1.0}, {"merge_gap": 500}, {"min_chars": 90}, {"sentences": True}])
def test_every_option_of_evidence_counts(client, option):
    body = {"question": QUESTION, "documents": [CONTEXT * 2], "min_score": 0.0, "max_answer_length": 4}
    plain, changed = (client.post("/evidence", json=body | more).json()["results"] for more in ({}, option))
    assert plain != changed


def test_ground_is_the_packages(client, predictor):
    answer = f"It says “{CONTEXT[4:20].upper()}” somewhere. Nobody knows."
    for said in (answer, [CONTEXT[:12], "nobody knows why"]):
        found = client.post("/ground", json={"answer": said, "sources": ["x", CONTEXT], "min_score": 0.7})
        assert found.status_code == 200
        assert found.json()["results"] == qa.ground(said, ["x", CONTEXT], reader=predictor, min_score=0.7)


@pytest.mark.parametrize(
    ("route", "body", "status"),
    [
        ("evidence", {"question": QUESTION, "documents": []}, 422),
        ("evidence", {"question": QUESTION, "documents": [CONTEXT], "min_score": 2}, 422),
        ("evidence", {"question": QUESTION, "documents": ["a" * 400_000] * 3}, 422),
        ("ground", {"answer": "x", "sources": []}, 422),
        ("ground", {"answer": 3, "sources": ["x"]}, 422),
        ("ground", {"answer": ["x", " "], "sources": ["x"]}, 422),
        ("ground", {"answer": "x" * 20_001, "sources": ["x"]}, 422),
        ("ground", {"answer": "x", "sources": ["a" * 150_000] * 2}, 422),
        ("ground", {"answer": "", "sources": ["x"]}, 200),
    ],
)
def test_what_is_out_of_range_is_refused(client, route, body, status):
    assert client.post(f"/{route}", json=body).status_code == status


def test_what_a_client_that_has_gone_asked_for_is_compared_no_further(predictor):
    """A quote may take a second for each of many sources, without a pass of the model in between."""
    task = GroundTask(body=GroundRequest(answer=["one quote", "another one"], sources=["a text", "more text"]))
    token = TICKET.set(Ticket(came=0.0, gone=True))
    try:
        with pytest.raises(GoneError):
            task.answer(predictor)
    finally:
        TICKET.reset(token)
