"""What is counted and logged of every request."""

import logging
import time

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ACCESS_LOG = logging.getLogger("qa.access")
"""One record per request; neither texts nor query strings are in it."""
_GONE = 499  # nginx's status for a client that did not wait; nothing was sent


class Measures:
    """Counts requests for Prometheus and logs them.

    Paths that are no route share a label, so that clients cannot invent labels.
    """

    def __init__(self, app: ASGIApp, *, registry: CollectorRegistry, paths: frozenset[str]) -> None:
        """Wrap `app`, whose routes are `paths`."""
        self.app, self.paths = app, paths
        self.requests = Counter("qa_requests", "Requests.", ["path", "status"], registry=registry)
        self.seconds = Histogram("qa_request_seconds", "Seconds to the end of an answer.", ["path"], registry=registry)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on and count."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status, began = _GONE, time.perf_counter()

        async def watch(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self.app(scope, receive, watch)
        except Exception:
            status = 500
            raise
        finally:
            self._note(scope, status, time.perf_counter() - began)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        label = path if path in self.paths else "other"
        self.requests.labels(label, status).inc()
        self.seconds.labels(label).observe(seconds)
        client = scope.get("client")
        found = {"method": scope["method"], "path": scope["path"][:200], "status": status, "seconds": round(seconds, 4)}
        ACCESS_LOG.info("request", extra={"fields": found | {"client": client[0] if client else None}})
