"""What a body is said to be: JSON, as it is, or it is refused with the header's own words."""

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_SHOWN = 80  # characters of a header


class JsonOnly:
    """Refuses bodies of another type, and compressed ones, which would be read as something that they are not."""

    def __init__(self, app: ASGIApp, *, paths: Collection[str]) -> None:
        """Wrap `app`, whose `paths` take bodies."""
        self.app, self.paths = app, paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or refuse."""
        unread = _why_unread(Headers(scope=scope)) if self._has_body(scope) else None
        if unread is None:
            await self.app(scope, receive, send)
        else:
            await JSONResponse({"detail": unread}, 415)(scope, receive, send)

    def _has_body(self, scope: Scope) -> bool:
        if scope["type"] != "http" or scope["method"] != "POST":
            return False
        return scope["path"].removeprefix(scope.get("root_path", "")) in self.paths


def _why_unread(headers: Headers) -> str | None:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        return f"content-type is {kind[:_SHOWN] or 'missing'}; wanted application/json"
    encoding = headers.get("content-encoding", "identity").strip().lower()
    return None if encoding == "identity" else f"content-encoding is {encoding[:_SHOWN]}; wanted none"
