"""Difficult connections: silent, slow, half-sent, endless headers, too many, unread answers. Case 6.2 and 6.3."""

import contextlib
import gc
import resource
import socket
import struct
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from qa.serving.connections import Connection, ConnectionLimits, bounded_connection
from tests.support.service import LONG, ONE, Gate, closed, raw, serving, wait_until

HALF = b"GET /health HTTP/1.1\r\nHost: x\r\n"


def test_a_connection_without_whole_headers_is_closed_in_time(predictor):
    """Silent ones, half-sent requests, and a byte now and then, which must not move the deadline."""
    with serving(predictor, header_timeout=0.5) as client, contextlib.ExitStack() as stack:
        silent, half, slow = (stack.enter_context(raw(client)) for _ in range(3))
        half.sendall(HALF)
        fed = threading.Event()

        def feed():
            slow.sendall(HALF)
            with contextlib.suppress(OSError):
                while not fed.wait(0.05):
                    slow.sendall(b"X-A: b\r\n")

        with ThreadPoolExecutor(1) as pool:
            pool.submit(feed)
            assert [closed(one) for one in (silent, half, slow)] == [True] * 3
            fed.set()


def test_the_deadline_is_said_and_holds_for_later_requests_of_a_connection(predictor):
    with serving(predictor, header_timeout=0.5) as client, raw(client) as connection:
        connection.sendall(HALF + b"\r\n")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
        connection.sendall(HALF)
        wait_for = b""
        while b"408" not in wait_for:
            part = connection.recv(65_536)
            assert part
            wait_for += part
        assert closed(connection)


def test_half_a_request_behind_a_whole_one_has_the_deadline_too(predictor):
    with serving(predictor, header_timeout=0.5) as client, raw(client) as connection:
        connection.sendall(HALF + b"\r\n" + HALF)
        assert closed(connection)


def test_a_connection_that_was_reset_is_forgotten_at_once(predictor):
    """uvicorn's clock for idle ones would keep it, with its request's headers, until that has run down."""
    with serving(predictor) as client, raw(client) as connection:
        connection.sendall(HALF + b"\r\n")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
        assert alive(client.base_url.port)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        wait_until(lambda: not alive(client.base_url.port))


def alive(port):
    """Connections to a port that something still holds."""
    gc.collect()
    return [one for one in gc.get_objects() if issubclass(type(one), Connection) and one.server[1] == port]


def test_a_request_that_is_answered_slowly_is_not_cut_off(predictor):
    gate = Gate(predictor)
    with serving(gate.predictor, header_timeout=0.2) as client, ThreadPoolExecutor(1) as pool, raw(client) as silent:
        gate.open.clear()
        asked = pool.submit(client.post, "/answer", json=ONE)
        wait_until(lambda: gate.calls)
        assert closed(silent)  # so its deadline, and that of the other, if it had one, have passed
        gate.open.set()
        assert asked.result().status_code == 200


@pytest.mark.parametrize("line", [b"X-%d: " + b"a" * 100_000 + b"\r\n", b"X-%d: a\r\n" * 8])
def test_endless_headers_are_cut_off(client, line):
    sent = 0
    with raw(client) as connection:
        connection.sendall(HALF)
        with contextlib.suppress(ConnectionError):
            while sent < 50_000_000:
                part = line % ((sent,) * line.count(b"%d"))
                connection.sendall(part)
                sent += len(part)
        assert closed(connection)
    assert sent < 10_000_000  # what the system buffers on the way, and not what was sent
    assert client.get("/health").status_code == 200


def test_an_endless_request_line_is_cut_off(client):
    with raw(client) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(b"GET /" + b"a" * 20_000_000)
        assert closed(connection)


def test_one_connection_too_many_closes_the_one_longest_without_a_request(predictor):
    gate = Gate(predictor)
    with serving(gate.predictor, max_connections=4) as client, contextlib.ExitStack() as stack:
        gate.open.clear()
        pool = stack.enter_context(ThreadPoolExecutor(1))
        asked = pool.submit(client.post, "/answer", json=ONE)
        wait_until(lambda: gate.calls)
        idle = [stack.enter_context(raw(client)) for _ in range(20)]
        assert all(closed(one) for one in idle[:16])
        gate.open.set()
        assert asked.result().status_code == 200


def answered(connection):
    """Ask for the health by a bare connection, and read the answer."""
    connection.sendall(HALF + b"\r\n")
    found = b""
    while not found.endswith(b"}"):
        part = connection.recv(65_536)
        if not part:
            return False
        found += part
    return found.startswith(b"HTTP/1.1 200")


def test_an_idle_connection_is_kept_as_long_as_told(predictor):
    with serving(predictor, keep_alive=0.2) as client, raw(client) as connection:
        assert answered(connection)
        assert closed(connection)
    with serving(predictor, header_timeout=0.5) as client, raw(client) as connection, raw(client) as silent:
        assert answered(connection)
        assert closed(silent)  # so that deadlines of headers have passed
        assert answered(connection)


def test_idle_connections_however_long_they_are_kept_leave_room_for_others(predictor):
    """The one longest without a request goes first, not the one that was opened first: proxies use theirs for hours."""
    with serving(predictor, keep_alive=3600.0, max_connections=4) as client, contextlib.ExitStack() as stack:
        used, *idle = (stack.enter_context(raw(client)) for _ in range(4))
        assert all(map(answered, (used, *idle)))
        for _ in range(9):
            assert answered(used)
            assert answered(stack.enter_context(raw(client)))
        assert all(map(closed, idle))
        assert answered(used)


def test_where_all_have_requests_one_more_connection_is_refused(predictor):
    gate = Gate(predictor)
    with serving(gate.predictor, max_connections=2) as client, ThreadPoolExecutor(2) as pool:
        gate.open.clear()
        asked = [pool.submit(client.post, "/answer", json=ONE) for _ in range(2)]
        wait_until(lambda: gate.calls)
        with raw(client) as more:
            wait_until(lambda: True)
            found = more.recv(65_536)
            while found and b"503" not in found:
                found += more.recv(65_536)
        gate.open.set()
        assert {one.result().status_code for one in asked} == {200}
        assert b"503" in found


def test_an_answer_that_is_not_read_does_not_hold_its_connection(predictor):
    with serving(predictor, header_timeout=0.5) as client, socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        connection.connect((client.base_url.host, client.base_url.port))
        connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 1000)  # far more than the system buffers
        own = connection.getsockname()
        wait_until(lambda: not [one for one in alive(client.base_url.port) if one.client == own], seconds=60)


def test_a_process_with_few_files_takes_fewer_connections(monkeypatch):
    wanted = ConnectionLimits(header_seconds=3.0, idle_seconds=4.0, connections=256)
    for files, connections in ((128, 8), (1024, 256), (300, 156), (resource.RLIM_INFINITY, 256)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, files=files: (files, files))
        limits = bounded_connection(wanted).limits
        assert (limits.connections, limits.header_seconds, limits.idle_seconds) == (connections, 3.0, 4.0)


def test_hundreds_of_half_sent_requests_do_not_keep_others_out(client):
    with contextlib.ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(raw(client)).sendall(HALF)
        assert client.post("/answer", json=ONE).status_code == 200
        assert client.post("/answer", json=LONG).status_code == 200
