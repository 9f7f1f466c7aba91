"""Logits -> spans -> predictions."""

from qa.decoding.search import NO_SPAN, SpanCandidates, best_spans, hf_parity_spans, null_logits

__all__ = ["NO_SPAN", "SpanCandidates", "best_spans", "hf_parity_spans", "null_logits"]
