"""A reader in a pipeline of haystack."""

import os

import pytest

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"
haystack = pytest.importorskip("haystack", reason="needs haystack; pip install 'extractive-qa[haystack]'")

from qa.adapters.haystack import ExtractiveReader
from qa.errors import ModelError
from tests.support.predictors import CONTEXT, QUESTION


def documents():
    return [
        haystack.Document(content=f"Front page.\f{CONTEXT}", meta={"page_number": 4, "file": "a.pdf"}),
        haystack.Document(content=" "),
        haystack.Document(content=None),
        haystack.Document(content=CONTEXT),
    ]


def test_a_pipeline_answers_as_a_search_does_with_documents_and_pages(folder, predictor):
    pipeline = haystack.Pipeline()
    pipeline.add_component("reader", ExtractiveReader(str(folder), top_k=3, device="cpu"))
    given = documents()
    answers = pipeline.run({"reader": {"query": QUESTION, "documents": given}})["reader"]["answers"]
    wanted = predictor.search(QUESTION, [given[0].content, CONTEXT], top_k=3, overlap=0.0)
    assert [(one.data, one.score) for one in answers] == [(one["answer"], one["score"]) for one in wanted]
    for one in answers:
        place = one.document_offset
        assert one.document.content[place.start : place.end] == one.data
        is_first = one.document.id == given[0].id
        assert one.meta == ({"answer_page_number": 5 if place.start > 11 else 4} if is_first else {})
    assert [one.query for one in answers] == [QUESTION] * 3


def test_a_run_may_ask_for_other_numbers_of_answers(folder):
    reader = ExtractiveReader(str(folder), device="cpu")
    assert [len(reader.run(QUESTION, documents(), top_k=k)["answers"]) for k in (1, 2)] == [1, 2]
    assert reader.run(QUESTION, [])["answers"] == []


def test_a_pipeline_is_saved_and_loaded(folder):
    pipeline = haystack.Pipeline()
    pipeline.add_component("reader", ExtractiveReader(str(folder), top_k=2, overlap=0.5, no_answer=False, device="cpu"))
    with pytest.raises(haystack.core.errors.DeserializationError, match=r"qa\.adapters\.haystack"):
        haystack.Pipeline.loads(pipeline.dumps())  # haystack 3 loads what its user trusts
    again = haystack.Pipeline.loads(pipeline.dumps(), allowed_modules=["qa.adapters.haystack"]).get_component("reader")
    assert (again.model, again.top_k, again.overlap, again.no_answer) == (str(folder), 2, 0.5, False)
    assert len(again.run(QUESTION, documents())["answers"]) == 2


def test_a_reader_that_is_not_there_is_an_error_when_it_is_loaded(tmp_path):
    with pytest.raises(ModelError):
        ExtractiveReader(str(tmp_path / "none")).warm_up()
