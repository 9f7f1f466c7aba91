"""Bodies: size, time, all together; and clients that go while they are read or answered. Case 6.1."""

import asyncio
import json
import re
import socket

import pytest

from qa.serving.guard import Guard
from tests.support.service import LONG, ONE, Gate, closed, raw, serving, wait_until

HEAD = b"POST /answer HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"


def call(guard, messages, method="POST", headers=()):
    """Send a guard the messages of one request; returns status and body. After the last one nothing comes."""
    sent, left = [], list(messages)

    async def receive():
        if left:
            return left.pop(0)
        return await asyncio.get_running_loop().create_future()

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": method, "path": "/", "headers": list(headers)}

    async def main():
        await guard(scope, receive, send)

    asyncio.run(main())
    status = next((one["status"] for one in sent if "status" in one), None)
    return status, b"".join(one.get("body", b"") for one in sent)


async def echo(scope, receive, send):
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["method"].encode() + b" " + body})


def part(body, more=False):
    return {"type": "http.request", "body": body, "more_body": more}


def guarded(app=echo, **limits):
    return Guard(app, **{"body_bytes": 10, "all_bytes": 100, "seconds": 20.0} | limits)


def test_a_body_within_its_limits_arrives_whole():
    assert call(guarded(), [part(b"abc", True), part(b"", True), part(b"def")]) == (200, b"POST abcdef")


@pytest.mark.parametrize("announced", [True, False])
def test_a_large_body_is_413_announced_or_not(announced):
    headers = [(b"content-length", b"11")] if announced else []
    status, body = call(guarded(), [part(b"a" * 6, True), part(b"a" * 5)], headers=headers)
    assert (status, json.loads(body)) == (413, {"detail": "the request has more than 10 bytes"})


def test_a_body_that_does_not_come_is_408():
    status, body = call(guarded(seconds=0.05), [part(b"a", True)])
    assert (status, json.loads(body)) == (408, {"detail": "the request did not arrive within 0.05 s"})


def test_bodies_together_are_bounded_and_freed():
    guard = guarded(all_bytes=12)
    inside = []

    async def nested(scope, receive, send):
        inside.append(await asyncio.to_thread(call, guard, [part(b"abcdef")]))
        await echo(scope, receive, send)

    guard.app = nested
    assert call(guard, [part(b"a" * 8)])[0] == 200
    assert inside[0][0] == 503
    guard.app = echo
    assert call(guard, [part(b"a" * 10)])[0] == 200


def test_head_reaches_the_app_as_get_and_has_no_body():
    assert call(guarded(), [part(b"")], method="HEAD") == (200, b"")


def test_a_client_that_goes_while_its_body_is_read_costs_nothing():
    async def unreachable(*_):
        raise AssertionError

    assert call(guarded(unreachable), [part(b"a", True), {"type": "http.disconnect"}]) == (None, b"")


def test_a_client_that_goes_cancels_its_request():
    ended = []

    async def slow(*_):
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    assert call(guarded(slow), [part(b"a"), {"type": "http.disconnect"}]) == (None, b"")
    assert ended == ["cancelled"]


def test_an_error_of_the_app_goes_on():
    async def wrong(*_):
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        call(guarded(wrong), [part(b"a")])


def gone(client):
    """How many requests ended since nobody waited for them, by the service's own count."""
    found = re.search(r'qa_requests_total{path="/answer",status="499"} (\d+)', client.get("/metrics").text)
    return int(found[1]) if found else 0


def waiting(client):
    return client.get("/health").json()["waiting"]


def test_clients_that_have_gone(predictor):
    """32 clients send long texts and hang up: what is not running is not done, and a small question need not wait."""
    gate = Gate(predictor)
    body = json.dumps({"inputs": [LONG] * 2}).encode()
    with serving(gate.predictor) as client:
        gate.open.clear()
        connections = [raw(client) for _ in range(32)]
        for one in connections:
            one.sendall(HEAD % len(body) + body)
        wait_until(lambda: waiting(client) == 64)
        wait_until(lambda: gate.calls)
        for one in connections:
            one.close()
        wait_until(lambda: gone(client) == 32)
        wait_until(lambda: waiting(client) == 2)  # of the one that the model is at
        gate.open.set()
        assert client.post("/answer", json=ONE).status_code == 200
        wait_until(lambda: waiting(client) == 0)
        assert len(gate.calls) == 2


def test_a_client_that_closes_its_half_has_gone(predictor):
    gate = Gate(predictor)
    body = json.dumps(LONG).encode()
    with serving(gate.predictor) as client, raw(client) as connection:
        gate.open.clear()
        connection.sendall(HEAD % len(body) + body)
        wait_until(lambda: gate.calls)
        connection.shutdown(socket.SHUT_WR)
        wait_until(lambda: gone(client) == 1)
        gate.open.set()
        wait_until(lambda: waiting(client) == 0)
        assert closed(connection)


@pytest.mark.parametrize(
    "said",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",  # a TLS client
        b"\r\n\r\n\r\n",
        b"POST /answer HTTP/9.9\r\n\r\n",
        b"POST /answer HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n",
        b"POST /answer HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcdef",
        b"POST /answer HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"POST /answer HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
        b"\x00" * 1000,
    ],
)
def test_malformed_requests_are_refused_and_hurt_nobody(client, said):
    with raw(client) as connection:
        connection.sendall(said)
        connection.shutdown(socket.SHUT_WR)
        first = connection.recv(65_536)
        assert not first or first.startswith((b"HTTP/1.1 4", b"HTTP/1.1 200"))
        assert b"Traceback" not in first
    assert client.get("/health").status_code == 200
