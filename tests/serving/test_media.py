"""Bodies that are not said to be JSON are refused by name: curl says otherwise unless it is told."""

import gzip
import json

import pytest
from fastapi.testclient import TestClient

from qa.serving.app import build_app
from qa.serving.schema import Limits
from tests.support.service import CONTEXT, QUESTION

BODY = json.dumps({"question": QUESTION, "context": CONTEXT}).encode()


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({}, "content-type is missing; wanted application/json"),
        ({"content-type": "application/x-www-form-urlencoded"}, "content-type is application/x-www-form-urlencoded;"),
        ({"content-type": "text/plain; charset=utf-8"}, "content-type is text/plain; wanted application/json"),
        ({"content-type": "application/json", "content-encoding": "gzip"}, "content-encoding is gzip; wanted none"),
    ],
)
@pytest.mark.parametrize("path", ["/answer", "/search", "/evidence", "/ground"])
def test_another_type_or_encoding_is_named(client, path, headers, said):
    body = gzip.compress(BODY) if "content-encoding" in headers else BODY
    found = client.post(path, content=body, headers=headers)
    assert found.status_code == 415
    assert said in found.json()["detail"]


def test_paths_that_take_no_body_say_so_themselves(client):
    assert client.post("/health").status_code == 405
    assert client.post("/none").status_code == 404


def test_behind_a_prefix_bodies_are_looked_at_too(predictor):
    with TestClient(build_app(lambda: predictor, name="m", limits=Limits(), root_path="/qa")) as client:
        assert client.post("/qa/answer", content=BODY).status_code == 415
        assert client.post("/answer", content=BODY).status_code == 415


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "Application/vnd.qa+json"])
def test_all_that_is_json_is_read(client, kind):
    found = client.post("/answer", content=BODY, headers={"content-type": kind, "content-encoding": "identity"})
    assert found.status_code == 200
