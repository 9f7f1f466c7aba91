"""Logits -> spans -> predictions."""

from typing import TYPE_CHECKING

from qa.lazy import lazy_exports

if TYPE_CHECKING:
    from qa.decoding.kept import NO_SPAN as NO_SPAN
    from qa.decoding.search import SpanCandidates as SpanCandidates
    from qa.decoding.search import best_spans as best_spans
    from qa.decoding.search import hf_parity_spans as hf_parity_spans
    from qa.decoding.search import null_logits as null_logits

__all__ = ["NO_SPAN", "SpanCandidates", "best_spans", "hf_parity_spans", "null_logits"]

__getattr__ = lazy_exports(__name__, {"NO_SPAN": "kept", **dict.fromkeys(__all__[1:], "search")})
