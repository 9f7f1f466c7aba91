"""The path prefix under which a proxy serves the service."""

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class Prefix:
    """Makes paths whole, whether the proxy cuts the prefix off or not, and sends the bare prefix to the page."""

    def __init__(self, app: ASGIApp, *, root_path: str) -> None:
        """Wrap `app`; `root_path` is such as `/qa`, or empty for no prefix but the server's own."""
        self.app, self.root_path = app, root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or redirect: the page's addresses are relative, which takes a slash at the prefix's end."""
        root = self.root_path
        if scope["type"] != "http" or not root:
            await self.app(scope, receive, send)
        elif scope["path"] == root:
            await RedirectResponse(f"{root}/")(scope, receive, send)
        else:
            path = scope["path"]
            whole = path if path.startswith(f"{root}/") else root + path
            await self.app({**scope, "root_path": root, "path": whole}, receive, send)
