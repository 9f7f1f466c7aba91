"""The app as workers make it: real uvicorn and gunicorn, several workers, loaded before a fork or after."""

import contextlib
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from qa.errors import ConfigError
from qa.serving import app_from_env
from tests.support import tiny
from tests.support.service import CONTEXT, ONE, QUESTION, is_up, wait_until

SCRIPTS = Path(sys.executable).parent


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny.save_reader(tmp_path_factory.mktemp("models") / "tiny-reader")


@contextlib.contextmanager
def started(command, port, **variables):
    """A server process that is up; yields its address and the process."""
    with subprocess.Popen(command, env=os.environ | variables, stderr=subprocess.PIPE, text=True) as server:
        url = f"http://127.0.0.1:{port}"
        try:
            wait_until(lambda: is_up(url) or server.poll() is not None, 200)
            assert server.poll() is None, server.stderr.read()
            yield url, server
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test_without_a_model_it_says_which_variable_is_missing(monkeypatch):
    monkeypatch.delenv("QA_MODEL", raising=False)
    with pytest.raises(ConfigError, match="QA_MODEL"):
        app_from_env()


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.parametrize(
    "words",
    [
        ["uvicorn", "--factory", "qa.serving:app_from_env", "--http", "qa.serving.connections:Connection"],
        ["uvicorn", "--factory", "qa.serving:app_from_env", "--workers", "2"],
        ["gunicorn", "qa.serving:app_from_env()", "-k", "asgi", "--workers", "2", "--preload"],
    ],
    ids=["uvicorn", "uvicorn's workers", "gunicorn, loaded before the fork"],
)
def test_workers_of_real_servers_answer(words, model):
    if importlib.util.find_spec(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed")
    port = free_port()
    where = ["--bind", f"127.0.0.1:{port}"] if words[0] == "gunicorn" else ["--port", str(port)]
    with started([SCRIPTS / words[0], *words[1:], *where], port, QA_MODEL=str(model), OMP_NUM_THREADS="2") as (url, _):
        many = {"inputs": [{"question": QUESTION, "context": CONTEXT * 20}] * 4}
        for body in (ONE, many) * 4:  # new connections: of several workers each gets some
            assert httpx.post(f"{url}/answer", json=body, timeout=60).status_code == 200
        assert httpx.get(f"{url}/health").json()["model"] == "tiny-reader"


@pytest.mark.slow
@pytest.mark.processes
def test_a_model_that_does_not_load_ends_the_server(tmp_path):
    words = [SCRIPTS / "uvicorn", "--factory", "qa.serving:app_from_env", "--port", str(free_port())]
    environment = os.environ | {"QA_MODEL": str(tmp_path / "nothing")}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode != 0
    assert any(
        "no such folder" in json.loads(line).get("message", "") for line in done.stderr.splitlines() if line[0] == "{"
    )
