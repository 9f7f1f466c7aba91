"""A service in a thread, a model that waits at a gate, and waiting for a service that runs elsewhere."""

import contextlib
import socket
import threading
import time
from dataclasses import replace

import httpx
import torch

from qa.inference.predictor import Predictor
from qa.serving.app import app_of
from qa.serving.server import Server
from qa.serving.settings import ServiceSettings

CONTEXT = "The Amazon carries 209,000 cubic metres of water a second. Francisco de Orellana 🛶 named it in 1541."
QUESTION = "Who named the Amazon?"
ONE = {"question": QUESTION, "context": CONTEXT}
LONG = {"question": QUESTION, "context": f"{CONTEXT} " * 100}
"""Some hundred windows."""


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
def serving(predictor, **settings):
    """A server on a free port of loopback, in a thread; yields a client."""
    told = ServiceSettings(model="/somewhere/tiny", **{"port": 0, "timeout": 20.0} | settings)
    addresses, up = [], threading.Event()

    def listening(address):
        addresses.append(address)
        up.set()

    server = Server(app_of(told, lambda: predictor), told, listening=listening)
    thread = threading.Thread(target=server.listen_and_run)
    thread.start()
    try:
        assert up.wait(20)
        with httpx.Client(base_url=addresses[0], timeout=30) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(20)


def raw(client):
    """A bare connection to a client's server."""
    return socket.create_connection((client.base_url.host, client.base_url.port), timeout=20)


def closed(connection):
    """Whether the other side closes within the connection's timeout; what it sends is dropped."""
    try:
        while connection.recv(65_536):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


def is_up(url):
    try:
        return httpx.get(f"{url}/health").status_code == 200
    except httpx.TransportError:
        return False


def wait_until(condition, seconds=20):
    end = time.perf_counter() + seconds
    while not condition():
        assert time.perf_counter() < end, "waited in vain"
        time.sleep(0.02)
