"""Evidence in LlamaIndex."""

import pytest

pytest.importorskip("llama_index.core", reason="needs LlamaIndex; pip install 'extractive-qa[llama-index]'")

from llama_index.core.schema import NodeWithScore, TextNode

from qa.adapters.llama_index import EvidencePostprocessor
from tests.support.predictors import CONTEXT, QUESTION


def nodes():
    texts = (CONTEXT * 2, " ", "Nothing of it.")
    return [NodeWithScore(node=TextNode(text=text, id_=f"n{at}", metadata={"at": at})) for at, text in enumerate(texts)]


def test_nodes_become_evidence_with_their_metadata_and_places(predictor):
    postprocessor = EvidencePostprocessor(predictor, min_score=0.0, sentences=False, top_k=3)
    found = postprocessor.postprocess_nodes(nodes(), query_str=QUESTION)
    rows = predictor.evidence(QUESTION, [CONTEXT * 2, "Nothing of it."], min_score=0.0, top_k=3)
    wanted = sorted((row for one in rows for row in one), key=lambda row: -row["score"])
    assert [(one.text, one.score) for one in found] == [(row["text"], row["score"]) for row in wanted]
    for one, row in zip(found, wanted, strict=True):
        at = 0 if row["passage"] == 0 else 2
        assert one.metadata == {"at": at, "source_node_id": f"n{at}"}
        assert (one.node.start_char_idx, one.node.end_char_idx) == (row["start"], row["end"])


def test_without_a_query_nodes_stay_and_unsure_ones_are_dropped(predictor):
    postprocessor = EvidencePostprocessor(predictor, min_score=1.0)
    assert [one.node_id for one in postprocessor.postprocess_nodes(nodes())] == ["n0", "n1", "n2"]
    assert postprocessor.postprocess_nodes(nodes(), query_str=QUESTION) == []
