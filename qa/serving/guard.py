"""What every request passes: limits of size and time before it is read further, headers for what goes back."""

import asyncio
import time
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qa.errors import TooLargeError

SECURITY_HEADERS = {
    # No inline scripts or styles, nothing from elsewhere; data: for the icons in the style sheet of the API's page.
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


class Guard:
    """Reads a request's body within its limits before anything else does, and adds the security headers."""

    def __init__(self, app: ASGIApp, *, body_bytes: int, seconds: float) -> None:
        """Wrap `app`."""
        self.app, self.body_bytes, self.seconds = app, body_bytes, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or refuse."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(SECURITY_HEADERS)
            await send(message)

        try:
            async with asyncio.timeout(self.seconds):
                body = await self._body(scope, receive)
        except TooLargeError:
            refusal = JSONResponse({"detail": f"the request has more than {self.body_bytes} bytes"}, 413)
            await refusal(scope, receive, send_with_headers)
        except TimeoutError:
            refusal = JSONResponse({"detail": f"the request did not arrive within {self.seconds:g} s"}, 408)
            await refusal(scope, receive, send_with_headers)
        else:
            await self.app(scope, _replay(body, receive), send_with_headers)

    async def _body(self, scope: Scope, receive: Receive) -> list[Message]:
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and int(announced) > self.body_bytes:
            raise TooLargeError
        messages, size = [], 0
        while True:
            message = await receive()
            messages.append(message)
            size += len(message.get("body", b""))
            if size > self.body_bytes:
                raise TooLargeError
            if not message.get("more_body", False):
                return messages


def _replay(messages: Iterable[Message], receive: Receive) -> Receive:
    stored = iter(messages)

    async def again() -> Message:
        for message in stored:
            return message
        return await receive()

    return again


class Measures:
    """Counts requests for Prometheus; paths that are no route share a label, so that clients cannot invent labels."""

    def __init__(self, app: ASGIApp, *, registry: CollectorRegistry, paths: frozenset[str]) -> None:
        """Wrap `app`."""
        self.app, self.paths = app, paths
        self.requests = Counter("qa_requests", "Requests.", ["path", "status"], registry=registry)
        self.seconds = Histogram("qa_request_seconds", "Seconds to the end of an answer.", ["path"], registry=registry)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on and count."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = scope["path"] if scope["path"] in self.paths else "other"
        status, began = 500, time.perf_counter()

        async def watch(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self.app(scope, receive, watch)
        finally:
            self.requests.labels(path, status).inc()
            self.seconds.labels(path).observe(time.perf_counter() - began)
