"""What decoding keeps of every feature."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int

NO_SPAN = -1
"""Position that fills up the candidates of a feature with fewer than k valid spans; their logits are −inf."""


@dataclass(frozen=True, eq=False, kw_only=True)
class FeatureSpans:
    """What decoding kept of every feature: k candidates and the null logits.

    `first` and `last` count tokens of the window's context; they are `NO_SPAN` where there is no candidate.
    `null_logits` are the start and the end logit of "not in this window". With a head of conditional ends, end logits
    are log P(end | start).
    """

    feature: Int[np.ndarray, "feature"]
    first: Int[np.ndarray, "feature k"]
    last: Int[np.ndarray, "feature k"]
    start_logit: Float32[np.ndarray, "feature k"]
    end_logit: Float32[np.ndarray, "feature k"]
    null_logits: Float32[np.ndarray, "feature 2"]

    def at(self, rows: Int[np.ndarray, "some"] | Bool[np.ndarray, "feature"] | slice) -> "FeatureSpans":
        """Return some of the features."""
        return FeatureSpans(**{name: column[rows] for name, column in vars(self).items()})


@dataclass(frozen=True, eq=False, kw_only=True)
class FeatureTokens:
    """The log odds of every token of the windows' contexts that an answer begins, and that one ends, with it.

    Those beyond a context's end are 0.
    """

    feature: Int[np.ndarray, "feature"]
    logits: Float32[np.ndarray, "feature token 2"]

    def at(self, rows: Int[np.ndarray, "some"] | Bool[np.ndarray, "feature"] | slice) -> "FeatureTokens":
        """Return some of the features."""
        return FeatureTokens(feature=self.feature[rows], logits=self.logits[rows])


Found = FeatureSpans | FeatureTokens
"""What is kept of every feature: columns, one of them `feature`, of shapes that are the same on all processes."""


def room_for(features: int, candidates: int) -> FeatureSpans:
    """Return columns for so many features, to be filled."""
    return FeatureSpans(
        feature=np.empty(features, dtype=np.int64),
        first=np.empty((features, candidates), dtype=np.int32),
        last=np.empty((features, candidates), dtype=np.int32),
        start_logit=np.empty((features, candidates), dtype=np.float32),
        end_logit=np.empty((features, candidates), dtype=np.float32),
        null_logits=np.empty((features, 2), dtype=np.float32),
    )
