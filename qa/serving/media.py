"""What a body is said to be: JSON, as it is, or it is refused with the header's own words."""

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_SHOWN = 80  # characters of a header


class JsonOnly:
    """Refuses bodies of another type, and compressed ones, which would be read as something that they are not."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or refuse."""
        has_body = scope["type"] == "http" and scope["method"] == "POST"
        unread = _why_unread(Headers(scope=scope)) if has_body else None
        if unread is None:
            await self.app(scope, receive, send)
        else:
            await JSONResponse({"detail": unread}, 415)(scope, receive, send)


def _why_unread(headers: Headers) -> str | None:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        return f"content-type is {kind[:_SHOWN] or 'missing'}; wanted application/json"
    encoding = headers.get("content-encoding", "identity").strip().lower()
    return None if encoding == "identity" else f"content-encoding is {encoding[:_SHOWN]}; wanted none"
