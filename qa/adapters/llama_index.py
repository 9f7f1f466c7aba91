"""LlamaIndex: a postprocessor that keeps what of retrieved nodes answers the query."""

from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle, TextNode
from pydantic import PrivateAttr

from qa.inference.documents import Document
from qa.inference.evidence import Evidence
from qa.inference.predictor import Predictor, predictor_of


class EvidencePostprocessor(BaseNodePostprocessor):
    """Replace nodes by the stretches of them that answer the query, the surest first; others are dropped.

    Each has the node's metadata and relationships, `start_char_idx` and `end_char_idx` in the node's text, and its name
    as `source_node_id`.
    """

    min_score: float = 0.5
    merge_gap: int = 0
    min_chars: int = 1
    sentences: bool = True
    top_k: int = 5
    """Spans of a node, before they are joined."""
    _predictor: Predictor = PrivateAttr()

    def __init__(
        self,
        predictor: object,
        *,
        min_score: float = 0.5,
        merge_gap: int = 0,
        min_chars: int = 1,
        sentences: bool = True,
        top_k: int = 5,
    ) -> None:
        """Take a reader, or a pipeline of it, and what `Predictor.evidence` takes.

        Raises:
            ModelError: no reader.

        """
        super().__init__(
            min_score=min_score, merge_gap=merge_gap, min_chars=min_chars, sentences=sentences, top_k=top_k
        )
        self._predictor = predictor_of(predictor)

    @classmethod
    def class_name(cls) -> str:
        """Name it in saved pipelines."""
        return "EvidencePostprocessor"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        if query_bundle is None:
            return nodes
        texts = [(one, one.node.get_content(MetadataMode.NONE)) for one in nodes]
        kept = [(one, text) for one, text in texts if text.strip()]
        found = self._predictor.evidence(
            query_bundle.query_str,
            [Document(text=text) for _, text in kept],
            min_score=self.min_score,
            merge_gap=self.merge_gap,
            min_chars=self.min_chars,
            sentences=self.sentences,
            top_k=self.top_k,
        )
        parts = sorted((part for rows in found for part in rows), key=lambda part: -part["score"])
        return [_node(kept[part["passage"]][0], part) for part in parts]


def _node(of: NodeWithScore, part: Evidence) -> NodeWithScore:
    node = TextNode(
        text=part["text"],
        metadata={**of.node.metadata, "source_node_id": of.node.node_id},
        relationships=of.node.relationships,
        start_char_idx=part["start"],
        end_char_idx=part["end"],
    )
    return NodeWithScore(node=node, score=part["score"])
