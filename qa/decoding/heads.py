"""What each head's logits become.

A head is what the logits of a token say. To add one: its labels in `qa.features.labels`, its loss in
`qa.modeling.loss`, its layer in `qa.modeling.conditional_head` where two logits are not enough, what is kept of its
logits in `qa.decoding.spans` and in `qa.inference.onnx_reader`, and here how that becomes predictions.
"""

from collections.abc import Sequence

from qa.config import DecodingConfig
from qa.decoding.choice import with_most_overlapping_first
from qa.decoding.kept import FeatureTokens, Found
from qa.decoding.predictions import Predictions
from qa.decoding.tokens import token_predictions
from qa.features.windows import Features


def longest_context(features: Features) -> int:
    """Return the tokens of the longest context of a window."""
    return int(features.size.max(initial=0))


def predictions_of(
    found: Found,
    features: Features,
    *,
    ids: Sequence[str],
    contexts: Sequence[str],
    config: DecodingConfig,
    null_possible: bool,
    counted: int | None = None,
) -> Predictions:
    """Make predictions of what was kept; see `Predictions.from_spans`."""
    make = token_predictions if isinstance(found, FeatureTokens) else Predictions.from_spans
    made = make(
        found,  # type: ignore[arg-type]  # of the type that goes with the function
        features,
        ids=ids,
        contexts=contexts,
        config=config,
        null_possible=null_possible,
        counted=counted,
    )
    return with_most_overlapping_first(made) if config.choice == "overlap" else made
