"""The page, and the API's documentation where the package with Swagger's files is installed."""

from collections.abc import Callable
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from fastapi import FastAPI, Response

_PAGE = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
    "/docs": ("docs.html", "text/html; charset=utf-8"),
    "/docs.js": ("docs.js", "text/javascript"),
}
_SWAGGER = {"/swagger-ui.css": "text/css", "/swagger-ui-bundle.js": "text/javascript"}


def add_page(app: FastAPI) -> set[str]:
    """Read the files, serve each at its path, and return the paths."""
    page = files("qa.serving") / "page"
    contents = {path: ((page / name).read_bytes(), kind) for path, (name, kind) in _PAGE.items()}
    swagger = find_spec("fastapi_offline")  # found, not imported: only its files are needed
    if swagger is None or swagger.origin is None:
        del contents["/docs"], contents["/docs.js"]
    else:
        static = Path(swagger.origin).parent / "static"
        contents |= {path: ((static / path[1:]).read_bytes(), kind) for path, kind in _SWAGGER.items()}
    for path, (content, kind) in contents.items():
        app.add_api_route(path, _fixed(content, kind), include_in_schema=False)
    return set(contents)


def _fixed(content: bytes, kind: str) -> Callable[[], Response]:
    def respond() -> Response:
        return Response(content, headers={"content-type": kind})

    return respond
