"""What is counted and logged of a request, and what not."""

import asyncio
import logging

import pytest
from prometheus_client import CollectorRegistry

from qa.serving.measures import ACCESS_LOG, Measures

PATHS = frozenset({"/answer", "/health"})


class Requests:
    """Sends requests to an app that answers as a test says, and reads what was counted of them."""

    def __init__(self):
        self.registry = CollectorRegistry()
        self.measures = Measures(self.app, registry=self.registry, paths=PATHS)

    async def app(self, _scope, _receive, send):
        if self.status is not None:
            await send({"type": "http.response.start", "status": self.status})
            await send({"type": "http.response.body", "body": b""})
        if self.error is not None:
            raise self.error

    def __call__(self, path, *, status=200, error=None, kind="http", **more):
        self.status, self.error = status, error
        scope = {"type": kind, "path": path, "method": "POST", "client": ("10.0.0.7", 99)} | more
        asyncio.run(self.measures(scope, nothing, nothing))

    def count(self, path, status):
        return self.registry.get_sample_value("qa_requests_total", {"path": path, "status": str(status)})


async def nothing(*_):
    pass


@pytest.fixture
def request_(caplog):
    with caplog.at_level(logging.INFO, logger=ACCESS_LOG.name):
        yield Requests()


def fields(caplog):
    return [record.fields for record in caplog.records if record.name == ACCESS_LOG.name]


def test_a_request_is_counted_by_path_and_status(request_, caplog):
    request_("/answer")
    request_("/answer")
    request_("/answer", status=422)
    assert (request_.count("/answer", 200), request_.count("/answer", 422)) == (2, 1)
    first = fields(caplog)[0]
    assert {name: first[name] for name in ("method", "path", "status", "client")} == {
        "method": "POST",
        "path": "/answer",
        "status": 200,
        "client": "10.0.0.7",
    }
    assert isinstance(first["seconds"], float)


def test_clients_cannot_invent_labels_nor_fill_the_log(request_, caplog):
    for at in range(5):
        request_(f"/no/such/{at}", status=404)
    request_("/" + "x" * 10_000, status=404, client=None)
    assert request_.count("other", 404) == 6
    assert request_.count("/no/such/0", 404) is None
    last = fields(caplog)[-1]
    assert (len(last["path"]), last["client"]) == (200, None)


def test_a_prefix_does_not_part_a_path_from_its_label(request_):
    request_("/qa/health", root_path="/qa")
    assert request_.count("/health", 200) == 1


def test_a_client_that_has_gone_and_an_error_of_ours_have_statuses(request_):
    request_("/answer", status=None)
    assert request_.count("/answer", 499) == 1
    with pytest.raises(ZeroDivisionError):
        request_("/answer", status=None, error=ZeroDivisionError())
    assert request_.count("/answer", 500) == 1


def test_what_is_no_request_is_not_counted(request_, caplog):
    request_("/answer", kind="websocket")
    assert request_.count("/answer", 200) is None
    assert fields(caplog) == []
