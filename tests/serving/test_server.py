"""`qa serve` as a process: listening when it says so, flags and environment, ends; case 6.5 to 6.7."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.support import tiny
from tests.support.service import CONTEXT, LONG, QUESTION, wait_until


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny.save_reader(tmp_path_factory.mktemp("models") / "tiny-reader")


@contextlib.contextmanager
def command(*words, **variables):
    """The command, once it has said that it listens; yields the process, its address and what it logs."""
    line = [sys.executable, "-m", "qa", "serve", *map(str, words), "--port", "0"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(line, env=os.environ | variables, **pipes) as server:
        try:
            said = server.stdout.readline()
            assert said.startswith("listening on http://127.0.0.1:"), server.stderr.read()
            yield server, said.split()[-1]
        finally:
            server.kill()


@pytest.mark.slow
@pytest.mark.processes
def test_it_listens_when_it_says_so_and_ends_when_what_has_come_is_answered(model):
    with command(model) as (server, url):
        host, port = url.removeprefix("http://").split(":")
        socket.create_connection((host, int(port)), timeout=5).close()  # at the first try
        assert httpx.head(f"{url}/health").status_code == 200
        assert httpx.get(f"{url}/health").json()["model"] == "tiny-reader"
        with ThreadPoolExecutor(1) as pool:
            many = {"inputs": [{"question": QUESTION, "context": CONTEXT * 40}] * 48}
            job = pool.submit(httpx.post, f"{url}/answer", json=many, timeout=60)
            wait_until(lambda: httpx.get(f"{url}/health").json()["waiting"] == 48)
            server.send_signal(signal.SIGTERM)
            assert job.result().status_code == 200
        assert server.wait(30) in {0, -signal.SIGTERM}
        lines = [json.loads(line) for line in server.stderr]
        assert [one["status"] for one in lines if one["path"] == "/answer"] == [200]


@pytest.mark.slow
@pytest.mark.processes
def test_flags_go_before_the_environment(model):
    environment = {"QA_MODEL": str(model), "QA_MAX_BODY_BYTES": "100", "QA_ROOT_PATH": "/a", "QA_ACCESS_LOG": "false"}
    with command("--root-path", "/b", **environment) as (server, url):
        assert httpx.post(f"{url}/answer", json=LONG).status_code == 413
        assert httpx.get(f"{url}/openapi.json").json()["servers"] == [{"url": "/b"}]
        server.send_signal(signal.SIGTERM)
        assert server.stderr.read() == ""
