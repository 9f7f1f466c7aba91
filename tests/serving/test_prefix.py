"""A proxy's prefix: whole paths for the app, whether it is cut off on the way or not."""

import asyncio

import pytest

from qa.serving.prefix import Prefix


def asked(path, *, root_path, kind="http"):
    """What the app sees of a request, and what the client gets without it."""
    seen, sent = [], []

    async def app(scope, _receive, _send):
        seen.append((scope["path"], scope.get("root_path", "")))

    async def receive():
        raise AssertionError("nothing is read of what comes after a request's head")

    async def send(message):
        sent.append(message)

    scope = {"type": kind, "path": path, "method": "GET", "headers": [], "query_string": b"", "root_path": ""}
    asyncio.run(Prefix(app, root_path=root_path)(scope, receive, send))
    return seen, sent


@pytest.mark.parametrize(
    ("path", "root_path", "wanted"),
    [
        ("/health", "", ("/health", "")),
        ("/health", "/qa", ("/qa/health", "/qa")),
        ("/qa/health", "/qa", ("/qa/health", "/qa")),
        ("/qaz/health", "/qa", ("/qa/qaz/health", "/qa")),
        ("/", "/qa", ("/qa/", "/qa")),
    ],
)
def test_a_path_is_whole_whether_the_proxy_cuts_it_or_not(path, root_path, wanted):
    assert asked(path, root_path=root_path) == ([wanted], [])


def test_the_bare_prefix_leads_to_the_page():
    seen, (start, _) = asked("/qa", root_path="/qa")
    assert seen == []
    assert start["status"] == 307
    assert (b"location", b"/qa/") in start["headers"]


def test_what_is_no_request_passes_as_it_is():
    assert asked("/qa", root_path="/qa", kind="lifespan") == ([("/qa", "")], [])
