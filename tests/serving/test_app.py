"""The service over HTTP: answers, what it says of itself, what it refuses, prefixes, origins, its OpenAPI document."""

import itertools
import json
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient

from qa.serving.app import build_app
from qa.serving.guard import SECURITY_HEADERS
from qa.serving.schema import MOST_CHARACTERS, Limits
from tests.support import tiny
from tests.support.service import CONTEXT, LONG, ONE, QUESTION, Gate, serving, wait_until

# --- answers ---


def test_an_answer_is_the_predictors(client, predictor):
    found = client.post("/answer", json=ONE | {"top_k": 3, "no_answer": True})
    assert found.status_code == 200
    assert found.json()["results"] == [predictor([ONE], top_k=3, no_answer=True)[0]]


def test_many_come_back_in_order(client, predictor):
    inputs = [{"question": row["question"], "context": row["context"]} for row in tiny.sample_rows("validation")[:6]]
    found = client.post("/answer", json={"inputs": inputs}).json()["results"]
    assert found == [[one] for one in predictor(inputs)]


def test_all_answers_are_returned_on_demand(client, predictor):
    body = ONE | {"answers": "all", "no_answer": False}
    found = client.post("/answer", json=body).json()["results"]
    assert found == predictor([ONE], answers="all", no_answer=False)
    assert client.post("/answer", json=body | {"top_k": 1}).json()["results"] == [found[0][:1]]
    assert client.post("/answer", json=ONE | {"answers": "some"}).status_code == 422


def test_search_ranks_over_passages(client, predictor):
    contexts = [CONTEXT, "Nothing is known of it."]
    found = client.post("/search", json={"question": QUESTION, "contexts": contexts, "top_k": 4}).json()["results"]
    assert found == predictor.search(QUESTION, contexts, top_k=4)
    assert all(contexts[one["passage"]][one["start"] : one["end"]] == one["answer"] for one in found)


def test_what_is_known_of_passages_comes_back_with_their_answers(client, predictor):
    passages = [{"text": CONTEXT, "id": "a", "meta": {"page": 3, "tags": ["x"]}}, {"text": CONTEXT}, "A plain one."]
    found = client.post("/search", json={"question": QUESTION, "contexts": passages, "top_k": 9}).json()["results"]
    assert found == predictor.search(QUESTION, passages, top_k=9)
    assert {(one["id"], one["page"]) for one in found if one["passage"] == 0} == {("a", 3)}
    assert all("id" not in one for one in found if one["passage"] == 2)


def test_shared_words_count_in_a_search_as_the_client_says(client, predictor):
    pytest.importorskip("bm25s", reason="ranks passages by words; pip install bm25s")
    contexts = [f"Nothing is known of {word}." for word in ("it", "that", "this")] + [CONTEXT]
    for options in ({"lexical_weight": 50.0}, {"prefilter": 1}):
        body = {"question": QUESTION, "contexts": contexts, "top_k": 3, **options}
        found = client.post("/search", json=body).json()["results"]
        assert found == predictor.search(QUESTION, contexts, top_k=3, **options)
        assert {one["passage"] for one in found} == {3}


@pytest.mark.parametrize("overlap", [0.0, 1.0])
def test_answers_and_passages_may_be_disjoint(client, predictor, overlap):
    options = {"top_k": 5, "overlap": overlap}
    found = client.post("/answer", json=ONE | options).json()["results"][0]
    assert found == predictor([ONE], **options)[0]
    assert all(one["place_score"] >= one["score"] for one in found)
    passages = client.post("/search", json={"question": QUESTION, "contexts": [CONTEXT], **options}).json()["results"]
    assert passages == predictor.search(QUESTION, [CONTEXT], **options)
    places = sorted((one["start"], one["end"]) for one in passages)
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(places)) == (overlap == 0.0)


def test_as_much_of_a_question_is_read_as_asked_for(client, predictor):
    texts = {"context": CONTEXT, "question": "In the story of the river, who named it?"}
    found = [client.post("/answer", json=texts | {"max_question_length": most}).json() for most in (3, 40)]
    assert [one["results"][0] for one in found] == [predictor([texts], max_question_length=most) for most in (3, 40)]
    assert [[one["kind"] for one in each["warnings"]] for each in found] == [["question_cut"], []]
    assert "cut to their first 3 tokens" in found[0]["warnings"][0]["detail"]


@pytest.mark.parametrize("path", ["/answer", "/search"])
def test_the_share_of_unknown_tokens_is_said_and_warned_of(client, path):
    """By a model of another language."""
    for question, context, kinds in (
        (QUESTION, CONTEXT, []),
        ("谁建造了灯塔？", "灯塔由拉格纳建造。", ["unknown_tokens"]),
    ):
        texts = {"contexts": [context]} if path == "/search" else {"context": context}
        found = client.post(path, json={"question": question, **texts}).json()
        assert [one["kind"] for one in found["warnings"]] == kinds
        assert (max(found["unknown_tokens"].values()) > 0.1) == bool(kinds)


def test_answers_are_the_predictors_to_the_last_bit_whoever_else_asks(client, predictor):
    bodies = [LONG | {"top_k": 4}, ONE, {"inputs": [ONE, LONG]}, LONG | {"no_answer": True}] * 4
    wanted = [
        predictor([LONG], top_k=4),
        [[one] for one in predictor([ONE])],
        [[one] for one in predictor([ONE, LONG])],
        [[one] for one in predictor([LONG], no_answer=True)],
    ] * 4
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda body: client.post("/answer", json=body).json()["results"], bodies))
    assert found == wanted


def test_the_longest_texts_fit_however_json_writes_them(predictor):
    """Characters of 1, 3 and 4 bytes, as they are and escaped (6 and 12 bytes); of blanks, so that nothing is slow."""
    with serving(predictor) as client:
        for character in ("\t", "\u3000", "\U000e0020"):
            text = "a" + character * (MOST_CHARACTERS - 1)
            for ascii_only in (True, False):
                body = json.dumps({"question": " ", "context": text}, ensure_ascii=ascii_only).encode()
                found = client.post("/answer", content=body, headers={"content-type": "application/json"})
                assert found.json()["detail"] == "question holds white space only"  # and not a word of the context


def test_a_small_question_is_answered_while_a_long_text_is_read(predictor):
    gate = Gate(predictor)
    with serving(gate.predictor) as client, ThreadPoolExecutor(2) as pool:
        gate.open.clear()
        long = pool.submit(client.post, "/answer", json=LONG)
        wait_until(lambda: gate.calls)
        small = pool.submit(client.post, "/answer", json=ONE)
        wait_until(lambda: client.get("/health").json()["waiting"] == 2)
        gate.open.set()
        assert small.result().status_code == long.result().status_code == 200
    assert 1 in gate.calls[1:4], gate.calls  # the small one's only window, long before the last of the text


# --- what it says of itself ---


def test_health_readiness_and_metrics(client):
    client.post("/answer", json=ONE)
    client.get("/no-such-page")
    assert client.get("/health").json() == {"status": "ok", "model": "tiny", "waiting": 0}
    assert client.get("/ready").json() == {"status": "ready"}
    text = client.get("/metrics").text
    assert 'qa_requests_total{path="/answer",status="200"}' in text
    assert 'qa_requests_total{path="other",status="404"}' in text
    assert "no-such-page" not in text
    assert "qa_pass_windows_bucket" in text
    assert "qa_pass_seconds_count" in text
    assert "qa_waiting_inputs 0.0" in text


@pytest.mark.parametrize("path", ["/", "/health", "/ready", "/metrics", "/page.js", "/docs"])
def test_head_is_get_without_a_body(client, path):
    head, got = client.head(path), client.get(path)
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["content-type"] == got.headers["content-type"]


def test_a_service_that_is_full_lives_but_is_not_ready(predictor):
    gate = Gate(predictor)
    with serving(gate.predictor, max_waiting=1) as client, ThreadPoolExecutor(1) as pool:
        gate.open.clear()
        asked = pool.submit(client.post, "/answer", json=ONE)
        wait_until(lambda: client.get("/ready").status_code == 503)
        assert client.get("/ready").json() == {"status": "busy"}
        assert client.get("/health").status_code == 200
        gate.open.set()
        asked.result()
        wait_until(lambda: client.get("/ready").status_code == 200)


# --- what is refused ---


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "question is missing; context is missing"),
        ({"question": " ", "context": CONTEXT}, "question holds white space only"),
        ({"question": QUESTION, "context": ""}, "context is empty"),
        ({"question": QUESTION * 200, "context": CONTEXT}, "question is too long; wanted at most 2,000 characters"),
        ({"inputs": []}, "inputs is empty; wanted at least 1"),
        ({"inputs": [ONE] * 65}, "inputs has too many entries; wanted at most 64"),
        ({"inputs": [ONE, {"question": QUESTION}]}, "inputs[1].context is missing"),
        ({"inputs": [{"question": QUESTION, "context": "a" * 400_000}] * 3}, "more than 1,000,000 characters together"),
        (ONE | {"top_k": 0}, "top_k is too small; wanted at least 1"),
        (ONE | {"top_k": 21}, "top_k is too large; wanted at most 20"),
        (ONE | {"top_k": 1.5}, "top_k is no whole number"),
        (ONE | {"model": "/etc/passwd"}, "model is not a field of this request"),
        (ONE | {"no_answer": "yes"}, "no_answer is neither true nor false"),
        ({"question": 5, "context": CONTEXT}, "question is no text"),
        ([], "the body is no object with the fields of a question"),
    ],
)
def test_wrong_bodies_are_422_in_plain_words_and_not_repeated(client, body, said):
    found = client.post("/answer", json=body)
    assert found.status_code == 422
    assert said in found.json()["detail"]
    assert "/etc/passwd" not in found.text
    assert len(found.text) < 1200


@pytest.mark.parametrize(
    "body",
    [b'{"question": "a", "context": "\\ud800"}', b'{"a\\ud800": 1}', b"{", b"[]", b'"\xff"', b"", b'{"top_k": NaN}'],
)
def test_bodies_that_are_no_text_are_4xx(client, body):
    found = client.post("/answer", content=body, headers={"content-type": "application/json"})
    assert found.status_code in {400, 422}
    assert isinstance(found.json()["detail"], str)


@pytest.mark.parametrize(
    "body",
    [b'{"question": "a", "context": "b", "top_k": ' + b"1" * 5_000 + b"}", b'"\xff"', b"[" * 5_000 + b"]" * 5_000],
)
def test_what_no_json_reader_takes_is_400_and_says_what_is_taken(client, body):
    found = client.post("/answer", content=body, headers={"content-type": "application/json"})
    assert found.status_code == 400
    assert found.json()["detail"].startswith("the body cannot be read as JSON; wanted UTF-8, numbers of less than")


def test_a_failure_beside_the_model_is_json_too(predictor, monkeypatch):
    """Such as an answer that cannot be written."""
    monkeypatch.setattr("qa.serving.app._options", lambda *_: 1 / 0)
    app = build_app(lambda: predictor, name="m", limits=Limits())
    with TestClient(app, raise_server_exceptions=False) as client:
        found = client.post("/answer", json=ONE)
    assert found.status_code == 500
    assert found.json() == {"detail": "the service failed on this request; its log says why"}


def test_an_answer_that_takes_too_long_is_408(predictor):
    gate = Gate(predictor)
    with serving(gate.predictor, timeout=0.3) as client:
        gate.open.clear()
        found = client.post("/answer", json=ONE)
        gate.open.set()
        assert found.status_code == 408
        assert found.json() == {"detail": "no answer within 0.3 s"}


def test_a_full_queue_is_503_at_once(predictor):
    gate = Gate(predictor)
    with serving(gate.predictor, max_waiting=2) as client, ThreadPoolExecutor(3) as pool:
        gate.open.clear()
        waiting = [pool.submit(client.post, "/answer", json=ONE) for _ in range(2)]
        wait_until(lambda: client.get("/health").json()["waiting"] == 2)
        refused = client.post("/answer", json=ONE)
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"
        gate.open.set()
        assert [one.result().status_code for one in waiting] == [200] * 2


@pytest.mark.parametrize(
    "path", ["/../../etc/passwd", "/page/../app.py", "/page.js/x", "/%2e%2e/app.py", "/static/page.js", "/app.py"]
)
def test_no_path_reads_a_file(client, path):
    assert client.get(path).status_code == 404


def test_answers_carry_the_security_headers(client):
    for path in ("/", "/health", "/docs", "/nothing"):
        headers = client.get(path).headers
        assert {name: headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS
    assert "inline" not in SECURITY_HEADERS["content-security-policy"]


# --- prefixes and origins ---


@pytest.mark.parametrize("page", ["/", "/docs"])
def test_addresses_of_a_page_are_relative_and_lead_somewhere(client, page):
    """So that a proxy may serve it anywhere."""
    scripts = re.findall(r'src="([^"]+)"', client.get(page).text)
    asked = [client.get(page).text, *(client.get(f"/{script}").text for script in scripts if "bundle" not in script)]
    addresses = re.findall(r'(?:href="|src="|fetch\("|url: ")([^"#]+)"', "".join(asked))
    assert len(addresses) > 2
    assert not [one for one in addresses if one.startswith(("/", "http"))]
    for address in addresses:
        if not address.startswith("data:"):
            assert client.get(f"/{address}").status_code in {200, 405}, address


@pytest.mark.parametrize("cut_off", [True, False])
def test_behind_a_path_prefix_whether_the_proxy_cuts_it_off_or_not(predictor, cut_off):
    with serving(predictor, root_path="/reader") as client:
        prefix = "" if cut_off else "/reader"
        assert client.post(f"{prefix}/answer", json=ONE).status_code == 200
        assert client.get(f"{prefix}/").status_code == client.get(f"{prefix}/page.js").status_code == 200
        assert client.get(f"{prefix}/openapi.json").json()["servers"] == [{"url": "/reader"}]
        assert 'qa_requests_total{path="/answer",status="200"}' in client.get(f"{prefix}/metrics").text


def test_other_origins_are_answered_only_where_they_are_named(client, predictor):
    asked = {"origin": "https://example.org"}
    assert "access-control-allow-origin" not in client.post("/answer", json=ONE, headers=asked).headers
    with serving(predictor, cors_origins=("https://example.org",), max_body_bytes=2_000) as open_client:
        for body, status in ((ONE, 200), (LONG, 413)):
            found = open_client.post("/answer", json=body, headers=asked)
            assert found.status_code == status
            assert found.headers["access-control-allow-origin"] == "https://example.org"
        other = open_client.post("/answer", json=ONE, headers={"origin": "https://elsewhere.org"})
        assert "access-control-allow-origin" not in other.headers
        wish = asked | {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}
        assert open_client.options("/answer", headers=wish).status_code == 200


@pytest.mark.parametrize("path", ["/answer", "/search", "/evidence"])
def test_a_model_that_fails_is_said_as_the_openapi_document_says(predictor, path):
    """Also to a page elsewhere, to which an answer without its headers is a network error."""

    class Broken(Gate):
        def forward(self, **_):
            raise RuntimeError("no kernel")

    body = {"question": QUESTION, "context": CONTEXT} if path == "/answer" else {"question": QUESTION}
    body |= {"contexts": [CONTEXT]} if path == "/search" else {}
    body |= {"documents": [CONTEXT]} if path == "/evidence" else {}
    with serving(Broken(predictor).predictor, cors_origins=("https://example.org",)) as client:
        found = client.post(path, json=body, headers={"origin": "https://example.org"})
        assert (found.status_code, list(found.json())) == (500, ["detail"])
        assert "no kernel" not in found.text
        assert found.headers["access-control-allow-origin"] == "https://example.org"
        assert found.headers["x-content-type-options"] == "nosniff"
        assert client.get("/health").status_code == 200


# --- load, and the OpenAPI document ---


def test_clients_by_requests_without_an_error(client):
    """8 clients × 8 requests; p50 and p99 are printed, `pytest -rP` shows them."""
    clients = requests = 8

    def ask(_):
        took = []
        with httpx.Client(base_url=client.base_url, timeout=30) as own:
            for _ in range(requests):
                began = time.perf_counter()
                assert own.post("/answer", json=ONE).status_code == 200
                took.append(time.perf_counter() - began)
        return took

    with ThreadPoolExecutor(clients) as pool:
        took = sorted(second for seconds in pool.map(ask, range(clients)) for second in seconds)
    p50, p99 = (1e3 * took[int(share * len(took))] for share in (0.5, 0.99))
    print(f"{clients} clients x {requests} requests: p50 {p50:.0f} ms, p99 {p99:.0f} ms")


@pytest.mark.slow
@pytest.mark.processes
def test_the_service_keeps_to_its_openapi_document(client):
    """Not `positive_data_acceptance`: the document cannot say that a text of white space only is refused."""
    checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
    script = Path(sys.executable).parent / "schemathesis"
    if not script.exists():
        pytest.skip("schemathesis is not installed")
    command = [script, "run", f"{client.base_url}/openapi.json", "--checks", checks, "--max-examples", "15"]
    done = subprocess.run([*command, "--seed", "1"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
