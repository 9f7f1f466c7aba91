"""Evidence and answers in LangChain."""

import asyncio

import pytest

pytest.importorskip("langchain_core", reason="needs LangChain; pip install 'extractive-qa[langchain]'")

from langchain_core.documents import Document
from langchain_core.runnables import RunnableLambda

from qa.adapters.langchain import EvidenceCompressor, reader_runnable
from tests.support.predictors import CONTEXT, QUESTION

DOCUMENTS = [
    Document(page_content=CONTEXT * 2, metadata={"source": "a", "page": 3}, id="one"),
    Document(page_content=" "),
    Document(page_content="Nothing of it."),
]


def test_documents_are_compressed_to_evidence_with_their_metadata(predictor):
    compressor = EvidenceCompressor(predictor=predictor, min_score=0.0, sentences=False, top_k=3)
    found = compressor.compress_documents(DOCUMENTS, QUESTION)
    rows = predictor.evidence(QUESTION, [CONTEXT * 2, "Nothing of it."], min_score=0.0, top_k=3)
    wanted = sorted((row for one in rows for row in one), key=lambda row: -row["score"])
    assert [one.page_content for one in found] == [row["text"] for row in wanted]
    for one, row in zip(found, wanted, strict=True):
        known = {"source": "a", "page": 3} if row["passage"] == 0 else {}
        place = {"start_index": row["start"], "end_index": row["end"], "relevance_score": row["score"]}
        assert one.metadata == known | place
        assert one.id == ("one" if row["passage"] == 0 else None)
    assert asyncio.run(compressor.acompress_documents(DOCUMENTS, QUESTION)) == found


def test_what_is_not_sure_enough_is_dropped(predictor):
    assert EvidenceCompressor(predictor=predictor, min_score=1.0).compress_documents(DOCUMENTS, QUESTION) == []


def test_a_chain_answers(predictor):
    chain = RunnableLambda(lambda question: {"question": question, "documents": [DOCUMENTS[0]]}) | reader_runnable(
        predictor, top_k=2
    )
    found = chain.invoke(QUESTION)
    assert found == predictor.search(QUESTION, [DOCUMENTS[0]], top_k=2)
    assert [(one["id"], one["page"], one["meta"]["source"]) for one in found] == [("one", 3, "a")] * 2
