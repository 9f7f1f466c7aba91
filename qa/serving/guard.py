"""What every request passes: limits of size and time before it is read further, and an end when its client goes."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qa.errors import GoneError, QueueFullError, TooLargeError

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
    """Reads a request's body within its limits, drops the request when its client has gone, answers HEAD as GET."""

    def __init__(self, app: ASGIApp, *, body_bytes: int, all_bytes: int, seconds: float) -> None:
        """Wrap `app`.

        Args:
            app: gets whole bodies only.
            body_bytes: of one request.
            all_bytes: of all requests together that are being read or answered.
            seconds: for a body to arrive.

        """
        self.app, self.body_bytes, self.all_bytes, self.seconds = app, body_bytes, all_bytes, seconds
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or refuse."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        send = _with_headers(send)
        if scope["method"] == "HEAD":
            scope, send = {**scope, "method": "GET"}, _without_body(send)
        body: list[Message] = []
        try:
            async with asyncio.timeout(self.seconds):
                await self._read(scope, receive, body)
        except TooLargeError:
            await _refuse(413, f"the request has more than {self.body_bytes} bytes", scope, receive, send)
        except TimeoutError:
            await _refuse(408, f"the request did not arrive within {self.seconds:g} s", scope, receive, send)
        except QueueFullError:
            await _refuse(503, "too many requests wait; try again", scope, receive, send)
        except GoneError:
            pass
        else:
            await _until_gone(self.app, scope, body, receive, send)
        finally:
            self._held -= _size(body)

    async def _read(self, scope: Scope, receive: Receive, body: list[Message]) -> None:
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and int(announced) > self.body_bytes:
            raise TooLargeError
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise GoneError
            body.append(message)
            part = len(message.get("body", b""))
            size, self._held = size + part, self._held + part
            if size > self.body_bytes:
                raise TooLargeError
            if self._held > self.all_bytes:
                raise QueueFullError
            more = message.get("more_body", False)


def _size(body: Sequence[Message]) -> int:
    return sum(len(message.get("body", b"")) for message in body)


async def _refuse(status: int, detail: str, scope: Scope, receive: Receive, send: Send) -> None:
    headers = {"retry-after": "1"} if status == 503 else None
    await JSONResponse({"detail": detail}, status, headers)(scope, receive, send)


async def _until_gone(app: ASGIApp, scope: Scope, body: Sequence[Message], receive: Receive, send: Send) -> None:
    """Run `app`, and cancel it when the client has gone: nobody would get its answer."""
    gone = asyncio.ensure_future(_disconnected(receive))
    work = asyncio.ensure_future(app(scope, _replay(body, gone), send))
    try:
        await asyncio.wait({gone, work}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work
    finally:
        gone.cancel()
        work.cancel()


async def _disconnected(receive: Receive) -> Message:
    while (message := await receive())["type"] != "http.disconnect":
        pass
    return message


def _replay(messages: Sequence[Message], end: Awaitable[Message]) -> Receive:
    stored = iter(messages)

    async def again() -> Message:
        for message in stored:
            return message
        return await asyncio.shield(asyncio.ensure_future(end))

    return again


def _with_headers(send: Send) -> Send:
    def changed(message: Message) -> Message:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(SECURITY_HEADERS)
        return message

    return _mapped(send, changed)


def _without_body(send: Send) -> Send:
    return _mapped(send, lambda one: {**one, "body": b""} if one["type"] == "http.response.body" else one)


def _mapped(send: Send, change: Callable[[Message], Message]) -> Send:
    async def send_changed(message: Message) -> None:
        await send(change(message))

    return send_changed
