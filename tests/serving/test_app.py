"""The HTTP service: calls on loopback, limits, batches across clients, its OpenAPI document, its page in a browser."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
import torch
import uvicorn

from qa.errors import QueueFullError
from qa.inference.backends import torch_backend
from qa.inference.predictor import Predictor
from qa.modeling.reader import load_reader
from qa.modeling.settings import DEFAULT_SETTINGS
from qa.serving.app import build_app
from qa.serving.batcher import Batcher
from qa.serving.guard import SECURITY_HEADERS
from qa.serving.schema import Limits
from tests.support import tiny
from tests.support.service import is_up, wait_until

CONTEXT = "The Amazon carries 209,000 cubic metres of water a second. Francisco de Orellana 🛶 named it in 1541."
QUESTION = "Who named the Amazon?"
ONE = {"question": QUESTION, "context": CONTEXT}
SETTINGS = replace(DEFAULT_SETTINGS, max_length=96, doc_stride=24, max_question_length=24)
SMALL = Limits(body_bytes=20_000, waiting=64, seconds=20.0)
CHROMIUM = shutil.which("chromium")


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    reader = load_reader(str(tiny.save_reader(tmp_path_factory.mktemp("reader"))))
    return Predictor(torch_backend(replace(reader, settings=SETTINGS), device=torch.device("cpu")))


class Gate(torch.nn.Module):
    """A model that waits at a gate, so that a test decides when it is busy; it notes the rows of every call."""

    def __init__(self, predictor):
        super().__init__()
        self.inner, self.calls = predictor.reader.model, []
        self.predictor = Predictor(replace(predictor.reader, model=self))
        self.open = threading.Event()
        self.open.set()

    def forward(self, **inputs):
        self.calls.append(len(inputs["input_ids"]))
        assert self.open.wait(20)
        return self.inner(**inputs)


@contextlib.contextmanager
def serving(predictor, limits=SMALL):
    """A server on a free port of loopback, in a thread."""
    config = uvicorn.Config(build_app(predictor, name="tiny", limits=limits), port=0, log_level="error")
    listener = config.bind_socket()
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        with httpx.Client(base_url=url, timeout=30) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()


@pytest.fixture(scope="module")
def client(predictor):
    with serving(predictor) as found:
        yield found


# --- answers ---


def test_an_answer_is_the_predictors(client, predictor):
    found = client.post("/answer", json=ONE | {"top_k": 3, "no_answer": True})
    assert found.status_code == 200
    assert found.json() == {"results": [predictor([ONE], top_k=20, no_answer=True)[0][:3]]}


def test_many_come_back_in_order(client, predictor):
    inputs = [{"question": row["question"], "context": row["context"]} for row in tiny.sample_rows("validation")[:6]]
    found = client.post("/answer", json={"inputs": inputs}).json()["results"]
    wanted = [answer["answer"] for answer in predictor(inputs)]
    assert [answers[0]["answer"] for answers in found] == wanted
    assert all(len(answers) == 1 for answers in found)


def test_search_ranks_over_passages(client, predictor):
    contexts = [CONTEXT, "Nothing is known of it."]
    found = client.post("/search", json={"question": QUESTION, "contexts": contexts, "top_k": 4}).json()["results"]
    wanted = predictor.search(QUESTION, contexts, top_k=4)
    assert found == wanted
    assert all(contexts[one["passage"]][one["start"] : one["end"]] == one["answer"] for one in found)


def test_health_and_metrics(client):
    client.post("/answer", json=ONE)
    client.get("/no-such-page")
    health = client.get("/health").json()
    assert health == {"status": "ok", "model": "tiny", "waiting": 0}
    text = client.get("/metrics").text
    assert 'qa_requests_total{path="/answer",status="200"}' in text
    assert 'qa_requests_total{path="other",status="404"}' in text
    assert "no-such-page" not in text
    assert "qa_batch_inputs_bucket" in text
    assert "qa_waiting_inputs 0.0" in text


# --- what is refused ---


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "Field required"),
        ({"question": " ", "context": CONTEXT}, "white space only"),
        ({"question": QUESTION, "context": ""}, "at least 1 character"),
        ({"question": QUESTION * 200, "context": CONTEXT}, "at most 2000 characters"),
        ({"inputs": []}, "at least 1 item"),
        ({"inputs": [ONE] * 65}, "at most 64 items"),
        (ONE | {"top_k": 0}, "greater than or equal to 1"),
        (ONE | {"top_k": 21}, "less than or equal to 20"),
        (ONE | {"model": "/etc/passwd"}, "Extra inputs are not permitted"),
        (ONE | {"file": "/etc/passwd"}, "Extra inputs are not permitted"),
        (ONE | {"no_answer": "yes"}, "valid boolean"),
    ],
)
def test_wrong_bodies_are_422_and_not_repeated(client, body, said):
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


def test_large_bodies_are_413_announced_or_not(client):
    large = json.dumps({"question": QUESTION, "context": "a " * SMALL.body_bytes}).encode()
    assert client.post("/answer", content=large).status_code == 413
    chunks = (large[at : at + 4096] for at in range(0, len(large), 4096))
    assert client.post("/answer", content=chunks).status_code == 413


def test_a_slow_request_is_408(predictor):
    with (
        serving(predictor, replace(SMALL, seconds=0.3)) as client,
        socket.create_connection((client.base_url.host, client.base_url.port)) as raw,
    ):
        raw.sendall(b"POST /answer HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{")
        raw.settimeout(10)
        assert raw.recv(1000).startswith(b"HTTP/1.1 408")


def test_an_answer_that_takes_too_long_is_408(predictor):
    gate = Gate(predictor)
    with serving(gate.predictor, replace(SMALL, seconds=0.3)) as client:
        gate.open.clear()
        found = client.post("/answer", json=ONE)
        gate.open.set()
        assert found.status_code == 408
        assert found.json() == {"detail": "no answer within 0.3 s"}


def test_a_full_queue_is_503_at_once(predictor):
    gate = Gate(predictor)
    with serving(gate.predictor, replace(SMALL, waiting=2)) as client, ThreadPoolExecutor(3) as pool:
        gate.open.clear()
        running = pool.submit(client.post, "/answer", json=ONE)
        wait_until(lambda: gate.calls)
        waiting = [pool.submit(client.post, "/answer", json=ONE) for _ in range(2)]
        wait_until(lambda: client.get("/health").json()["waiting"] == 2)
        began = time.perf_counter()
        refused = client.post("/answer", json=ONE)
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"
        assert time.perf_counter() - began < 2
        gate.open.set()
        assert [one.result().status_code for one in (running, *waiting)] == [200] * 3


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
    assert client.post("/answer", content=b"a" * 30_000).headers["content-security-policy"]


def test_the_pages_have_no_inline_scripts_and_load_nothing_from_elsewhere(client):
    for path in ("/", "/docs"):
        page = client.get(path).text
        assert "<script>" not in page
        assert "http" not in page
        assert "style=" not in page
    assert "innerHTML" not in client.get("/page.js").text


# --- batches ---


def test_what_waits_is_run_together(predictor):
    gate = Gate(predictor)
    with serving(gate.predictor) as client, ThreadPoolExecutor(9) as pool:
        gate.open.clear()
        jobs = [pool.submit(client.post, "/answer", json=ONE)]
        wait_until(lambda: gate.calls)
        jobs += [pool.submit(client.post, "/answer", json=ONE | {"top_k": 1 + at}) for at in range(8)]
        wait_until(lambda: client.get("/health").json()["waiting"] == 8)
        gate.open.set()
        found = [job.result().json()["results"][0] for job in jobs]
    assert gate.calls == [1, 8]
    assert [len(answers) for answers in found] == [1, *range(1, 9)]


@dataclass(frozen=True)
class Work:
    name: str
    size: int = 1


def test_the_batcher_keeps_order_sizes_and_errors():
    seen = []

    def run(tasks):
        seen.append([task.name for task in tasks])
        return [ValueError(task.name) if task.name == "bad" else task.name.upper() for task in tasks]

    async def main():
        batcher = Batcher(run, most_waiting=10, most_together=3)
        asked = [Work("a"), Work("b", 2), Work("bad"), Work("big", 5)]
        waiting = [asyncio.ensure_future(batcher.submit(task)) for task in asked]
        dropped = asyncio.ensure_future(batcher.submit(Work("dropped")))
        await asyncio.sleep(0)
        with pytest.raises(QueueFullError):
            await batcher.submit(Work("one too many"))
        dropped.cancel()
        await asyncio.sleep(0)
        work = asyncio.create_task(batcher.work())
        results = await asyncio.gather(*waiting, return_exceptions=True)
        batcher.close()
        await work
        with pytest.raises(QueueFullError):
            await batcher.submit(Work("late"))
        return results

    results = asyncio.run(main())
    assert [str(one) for one in results] == ["A", "B", "bad", "BIG"]
    assert isinstance(results[2], ValueError)
    assert seen == [["a", "b"], ["bad"], ["big"]]


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


# --- the OpenAPI document ---


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


# --- the command ---


@pytest.mark.slow
@pytest.mark.processes
def test_the_command_serves_and_ends_gracefully(tmp_path):
    model = tiny.save_reader(tmp_path / "tiny-reader")
    words = [sys.executable, "-m", "qa", "serve", str(model), "--port", "0"]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as server:
        url = server.stdout.readline().split()[-1]
        assert url.startswith("http://127.0.0.1:")
        wait_until(lambda: is_up(url))
        assert httpx.get(f"{url}/health").json()["model"] == "tiny-reader"
        with ThreadPoolExecutor(1) as pool:
            many = {"inputs": [{"question": QUESTION, "context": CONTEXT * 40}] * 48}
            job = pool.submit(httpx.post, f"{url}/answer", json=many, timeout=60)
            wait_until(lambda: "qa_batch_inputs_count 1.0" in httpx.get(f"{url}/metrics").text)  # it is being answered
            server.send_signal(signal.SIGTERM)
            assert job.result().status_code == 200
        assert server.wait(30) in {0, -signal.SIGTERM}


# --- the page ---


@pytest.fixture(scope="module")
def page():
    sync_api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        tab = browser.new_page(viewport={"width": 900, "height": 640})
        tab.set_default_timeout(20_000)
        tab.said = []
        tab.on("console", lambda message: tab.said.append(message.text))
        tab.on("pageerror", lambda error: tab.said.append(str(error)))
        yield tab
        browser.close()


@pytest.mark.slow
def test_type_ask_and_see_the_answer_highlighted(client, page, predictor):
    page.goto(f"{client.base_url}/")
    page.fill("#context", f"<b id=evil>{CONTEXT}</b>")
    page.fill("#question", QUESTION)
    page.uncheck("#no-answer")
    page.click("#ask")
    page.wait_for_selector("mark.best")
    asked = {"question": QUESTION, "context": f"<b id=evil>{CONTEXT}</b>"}
    wanted = predictor([asked], top_k=20, no_answer=False)[0][:5]
    assert page.text_content("mark.best") == wanted[0]["answer"]
    assert page.text_content("#text") == asked["context"]
    assert page.query_selector("#evil") is None
    assert page.locator("#answers button").count() == 5
    page.hover("#answers li:nth-child(3) button")
    assert page.text_content("mark.other") == wanted[2]["answer"]
    page.hover("h1")
    assert page.text_content("mark.best") == wanted[0]["answer"]
    assert page.said == []


@pytest.mark.slow
def test_no_answer_and_errors_are_shown_as_such(client, page):
    nothing = {"score": 0.9, "start": 0, "end": 0, "answer": "", "no_answer_score": 0.9}
    span = nothing | {"score": 0.1, "end": 3, "answer": CONTEXT[:3]}
    page.goto(f"{client.base_url}/")
    page.route("**/answer", lambda route: route.fulfill(json={"results": [[nothing, span]]}))
    page.fill("#context", CONTEXT)
    page.fill("#question", QUESTION)
    page.click("#ask")
    page.wait_for_selector("#result:not([hidden])")
    assert page.text_content("#best") == "The text does not answer this (90 %)."
    assert page.locator("mark").count() == 0
    page.unroute("**/answer")
    page.fill("#context", "a " * SMALL.body_bytes)
    page.click("#ask")
    page.wait_for_selector("#status.error")
    assert page.text_content("#status") == f"the request has more than {SMALL.body_bytes} bytes"
    page.said.clear()  # the browser remarks on the 413


@pytest.mark.slow
def test_the_pages_of_the_api_work_under_the_policy(client, page):
    page.goto(f"{client.base_url}/docs")
    page.wait_for_selector(".opblock-post")
    assert page.locator(".opblock").count() == 4
    assert not [line for line in page.said if "Content Security Policy" in line]
