"""Connections that cannot be held for nothing: a deadline for headers and for reading, and a number that is kept.

uvicorn bounds headers by their size only, and with httptools not even that; a client that sends nothing, half a
request, or a byte a second holds its connection for ever (Kludex/uvicorn#157, #1192). hypercorn has the deadline, but
no bound for connections; granian has both, but does not report that a client has gone while a request is answered.
"""

import asyncio
import time
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_BYTES = 16_384
"""Of a request's line and headers: h11's `max_incomplete_event_size`."""
BACKLOG = 32
"""Connections that the system holds ready, and that are accepted at once; closed ones count for two rounds more."""
_OTHER_FILES = 48  # that a process has open besides connections: libraries, the model, pipes, the event loop


@dataclass(frozen=True, kw_only=True)
class ConnectionLimits:
    """What a connection may take."""

    header_seconds: float = 10.0
    """From its opening, or the first byte of its next request, to the end of the headers; and to read an answer."""
    idle_seconds: float = 125.0
    """From an answer to the next request. More than proxies wait (nginx and AWS's load balancer 60, Traefik and Heroku
    90, Caddy 120): where a service closes a connection just as its proxy uses it again, the proxy's client gets 502."""
    connections: int = 256
    """Open at once; one more closes the one that is longest without a request, and is refused where all have one."""


class Connection(H11Protocol):
    """An HTTP/1.1 connection of uvicorn that is closed when its client takes too long.

    `uvicorn --http qa.serving.connections:Connection` uses it with the default limits.
    """

    limits: ClassVar[ConnectionLimits] = ConnectionLimits()

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # what uvicorn passes to any protocol
        """Take what uvicorn passes."""
        super().__init__(*args, **kwargs)
        self.timeout_keep_alive = self.limits.idle_seconds  # type: ignore[assignment]  # any number will do
        self._deadline: asyncio.TimerHandle | None = None
        self._since = time.monotonic()

    @property
    def has_request(self) -> bool:
        """Whether a request has come whose answer has not gone."""
        return self.cycle is not None and not self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Start the clock; make room."""
        super().connection_made(transport)
        self._expect()
        others = [one for one in self.connections if one is not self and isinstance(one, Connection)]
        if len(others) >= self.limits.connections:
            idle = [one for one in others if not one.has_request]
            if idle:
                min(idle, key=lambda one: one._since).transport.abort()  # noqa: SLF001  # its own class
            else:
                self._refuse(b"503 Service Unavailable")

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock, and the server's own: it leaves that on for connections that were reset, and keeps them."""
        self._met()
        super().connection_lost(exc)
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()

    def data_received(self, data: bytes) -> None:
        """Stop the clock when the headers are complete, start it with the first byte of the next ones."""
        super().data_received(data)
        if self.has_request:
            self._met()
        elif self._deadline is None:
            self._expect()

    def pause_writing(self) -> None:
        """Start the clock for a client that does not read its answer."""
        super().pause_writing()
        self._expect()

    def resume_writing(self) -> None:
        """Stop it."""
        super().resume_writing()
        self._met()

    def on_response_complete(self) -> None:
        """Leave what the system could not take yet, and what is there of a next request, a while and no longer."""
        super().on_response_complete()
        self._since = time.monotonic()
        is_half_sent = not self.has_request and bool(self.conn.trailing_data[0])
        if self.transport.get_write_buffer_size() or is_half_sent:
            self._expect()

    def _expect(self) -> None:
        self._met()
        self._since = time.monotonic()
        self._deadline = self.loop.call_later(self.limits.header_seconds, self._late)

    def _met(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self._refuse(b"408 Request Timeout")

    def _refuse(self, status: bytes) -> None:
        self.transport.write(b"HTTP/1.1 " + status + b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        self.transport.close()


def bounded_connection(limits: ConnectionLimits) -> type[Connection]:
    """Return the protocol with these limits, and no more connections than the process may have files."""
    most = min(limits.connections, max(_files() - 3 * BACKLOG - _OTHER_FILES, 8))
    return type("BoundedConnection", (Connection,), {"limits": replace(limits, connections=most)})


def _files() -> int:
    try:
        import resource  # noqa: PLC0415  # not on Windows, which has no such limit
    except ImportError:
        return 1 << 20
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 20 if soft == resource.RLIM_INFINITY else soft
