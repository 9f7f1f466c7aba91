"""Rows that went through the model together, and what is made of their spans."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from qa.decoding.heads import predictions_of
from qa.decoding.kept import FeatureSpans, Found
from qa.decoding.predictions import Predictions
from qa.features.windows import Features
from qa.inference.inputs import Row
from qa.inference.options import AnswerOptions


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Rows that went through the model together."""

    rows: list[Row]
    ids: Sequence[str]
    features: Features
    spans: Found

    @property
    def contexts(self) -> list[str]:
        """The texts."""
        return [row["context"] for row in self.rows]

    def calibrated(self, options: AnswerOptions) -> Predictions:
        """Return predictions as evaluation makes them, with calibrated probabilities."""
        found = self._joined(self.spans, options, null_possible=options.null_possible)
        predictions = replace(found, independent=found.independent or options.answers == "all")
        return predictions.calibrated(temperature=options.temperature, threshold=options.threshold)

    def against_null(self, options: AnswerOptions) -> Predictions:
        """Return predictions, ranked by scores alone, which are log odds against "not in this window"."""
        by_score = replace(options, decoding=replace(options.decoding, choice="likeliest"))
        return self._joined(_less_null(self.spans), by_score, null_possible=False)

    def _joined(self, spans: Found, options: AnswerOptions, *, null_possible: bool) -> Predictions:
        return predictions_of(
            spans,
            self.features,
            ids=self.ids,
            contexts=self.contexts,
            config=options.decoding,
            null_possible=null_possible,
            counted=options.n_best,
        )


def _less_null(spans: Found) -> Found:
    """Take every window's null logits off the logits of its spans; those of tokens are log odds as they are."""
    if not isinstance(spans, FeatureSpans):
        return spans
    start_null, end_null = spans.null_logits[:, :1], spans.null_logits[:, 1:]
    return replace(spans, start_logit=spans.start_logit - start_null, end_logit=spans.end_logit - end_null)
