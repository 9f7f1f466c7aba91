"""Logs: a line of JSON per record, whatever clients send; without texts and query strings."""

import json
import logging

import pytest

from qa.serving.logs import JsonLines, log_as_json
from tests.support.service import ONE


@pytest.fixture
def errors(capsys):
    """What is written to standard error."""
    return lambda: capsys.readouterr().err


@pytest.mark.parametrize("access", [True, False])
def test_requests_are_lines_of_json_unless_switched_off(client, errors, access):
    log_as_json(access=access)
    client.post("/answer?secret=1", json=ONE)
    client.get("/a/%0a")
    written = errors()
    lines = [json.loads(line) for line in written.splitlines()]
    if not access:
        assert lines == []
        return
    assert [(one["method"], one["path"], one["status"]) for one in lines] == [
        ("POST", "/answer", 200),
        ("GET", "/a/\n", 404),
    ]
    assert all(one["seconds"] >= 0 and one["client"] == "127.0.0.1" and one["level"] == "info" for one in lines)
    assert "secret" not in written
    assert "Amazon" not in written


def test_errors_are_one_line_with_their_traceback(errors):
    log_as_json(access=True)
    try:
        int("x")
    except ValueError:
        logging.getLogger("uvicorn.error").exception("it broke")
    (line,) = errors().splitlines()
    found = json.loads(line)
    assert (found["message"], found["level"], found["logger"]) == ("it broke", "error", "uvicorn.error")
    assert "ValueError: invalid literal" in found["error"]


def test_times_are_in_utc():
    record = logging.LogRecord("a", logging.INFO, "", 0, "%s", ("x",), None)
    record.created = 0.0
    assert json.loads(JsonLines().format(record))["time"] == "1970-01-01T00:00:00.000+00:00"
