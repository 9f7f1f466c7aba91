"""What programs call a document: their text, id and meta; and the page of a character."""

from types import SimpleNamespace

import pytest

from qa.errors import ExampleError
from qa.inference.documents import Document, document_of

META = {"page": 3}


@pytest.mark.parametrize(
    "value",
    [
        {"text": "x", "meta": META, "id": "d"},
        {"content": "x", "metadata": META, "id": "d"},
        SimpleNamespace(content="x", meta=META, id="d"),
        SimpleNamespace(page_content="x", metadata=META, id="d"),
        SimpleNamespace(text="x", metadata=META, node_id="d"),
        SimpleNamespace(node=SimpleNamespace(text="x", metadata=META, node_id="d"), score=0.3),
        Document(text="x", id="d", meta=META),
    ],
)
def test_a_document_is_known_by_the_names_that_packages_use(value):
    assert document_of(value, 0) == Document(text="x", id="d", meta=META)


def test_a_text_is_a_document_of_which_nothing_is_known():
    assert document_of("x", 0) == document_of({"text": "x"}, 0) == Document(text="x", id=None, meta={})


@pytest.mark.parametrize("value", [None, 3, b"x", {}, {"body": "x"}, {"text": 3}, SimpleNamespace(content=None)])
def test_what_has_no_text_is_named_by_its_index(value):
    with pytest.raises(ExampleError, match=r"input 7: context is .*; wanted text, or a document with one of text,"):
        document_of(value, 7)


def test_meta_is_a_mapping():
    with pytest.raises(ExampleError, match=r"document 2: meta is \['page'\]; wanted a mapping"):
        document_of({"text": "x", "meta": ["page"]}, 2)


@pytest.mark.parametrize(
    ("meta", "text", "pages"),
    [
        ({}, "abcdef", [None, None]),
        ({}, "ab\fcd", [1, 2]),
        ({"page_number": 4}, "ab\fcd", [4, 5]),
        ({"page_label": "12", "page": "xii"}, "abcdef", [12, 12]),
        ({"page": True}, "abcdef", [None, None]),
    ],
)
def test_the_page_is_the_documents_own_and_one_more_for_each_form_feed(meta, text, pages):
    document = Document(text=text, meta=meta)
    assert [document.page_at(start) for start in (0, 4)] == pages
