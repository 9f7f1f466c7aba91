"""What programs call a document -> its text, its id and what else is known of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NotRequired, TypedDict

from qa.errors import ExampleError

_TEXTS = ("text", "content", "page_content", "context")
_METAS = ("meta", "metadata")
_IDS = ("id", "id_", "node_id", "doc_id")
_PAGES = ("page_number", "page", "page_label")
_PAGE_BREAK = "\f"


class KnownOfDocument(TypedDict):
    """What is known of the document that a text is from, where it is more than a text."""

    id: NotRequired[str | None]
    meta: NotRequired[Mapping[str, Any]]
    page: NotRequired[int | None]
    """Where the text begins; see `Document.page_at`."""


@dataclass(frozen=True, kw_only=True)
class Document:
    """A text to find answers in, and what is known of it."""

    text: str
    id: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)

    def page_at(self, start: int) -> int | None:
        """Return the page of a character: the document's own, and one more for every form feed before; None: unknown.

        Its own page is what `meta` has as `page_number`, `page` or `page_label`; without one, a document with form
        feeds begins at page 1.
        """
        own = next((number for name in _PAGES if (number := _number(self.meta.get(name))) is not None), None)
        if own is None and _PAGE_BREAK not in self.text:
            return None
        return (1 if own is None else own) + self.text.count(_PAGE_BREAK, 0, start)


def document_of(value: object, index: int) -> Document:
    """Return a text, a dict or an object of another package as a document.

    The text is called `text`, `content`, `page_content` or `context`; what is known of it `meta` or `metadata`; its
    name `id`, `id_`, `node_id` or `doc_id`. So are those of haystack, LangChain and LlamaIndex (also inside `node`).

    Args:
        value: what a caller has.
        index: its number, for messages.

    Raises:
        ExampleError: none of these has a text, or what is known of it is no mapping.

    """
    if isinstance(value, Document):
        return value
    if isinstance(value, str):
        return Document(text=value)
    if value is None or isinstance(value, bytes | int | float):
        raise _wanted(value, index)
    inner = _part(value, ("node",))
    known = value if inner is None else inner
    text, meta, name = _part(known, _TEXTS), _part(known, _METAS), _part(known, _IDS)
    if not isinstance(text, str):
        raise _wanted(value, index)
    if meta is not None and not isinstance(meta, Mapping):
        raise ExampleError(f"document {index}: meta is {meta!r:.80}; wanted a mapping")
    return Document(text=text, id=None if name is None else str(name), meta=meta or {})


def _part(value: object, names: tuple[str, ...]) -> Any:  # noqa: ANN401  # whatever it has there
    """Return the first of the named items of a mapping, or attributes of an object, that is there."""
    if isinstance(value, Mapping):
        found = (value.get(name) for name in names)
    else:
        found = (getattr(value, name, None) for name in names)
    return next((one for one in found if one is not None), None)


def _number(value: object) -> int | None:
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _wanted(value: object, index: int) -> ExampleError:
    return ExampleError(
        f"input {index}: context is {value!r:.80}; wanted text, or a document with one of {', '.join(_TEXTS)}"
    )
