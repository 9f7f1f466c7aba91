"""A reader that answers, whatever runs it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from qa.config import DecodingConfig
from qa.decoding.kept import Found
from qa.features.windows import Encoder, Features
from qa.modeling.settings import ReaderSettings


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class LoadedReader(ABC):
    """A reader that answers, whatever runs it."""

    model: Any
    """Takes `input_names` on `device`; its output has `start_logits` and `end_logits`, `[feature, token]`."""
    tokenizer: PreTrainedTokenizerBase
    encoder: Encoder
    """The tokenizer, ready to make features for the model."""
    settings: ReaderSettings
    input_names: Sequence[str]
    longest: int
    """Longest window that the model takes, in tokens."""
    device: Any
    """Where the model runs; its `type` is the kind, such as "cpu"."""

    def facts(self) -> dict[str, object]:
        """Name what somebody who looks at it wants to know, in a line each."""
        threshold = self.settings.no_answer_threshold
        return {
            "model": type(self.model).__name__,
            "parameters": self.size(),
            "device": self.device,
            "window": f"{self.settings.max_length} tokens, {self.settings.doc_stride} of them shared",
            "longest answer": f"{self.settings.max_answer_tokens} tokens",
            **({"length cost": f"{cost:.3g} log odds a token"} if (cost := self.settings.length_cost) else {}),
            **({"answers": "what likely ones agree about"} if self.settings.choice == "overlap" else {}),
            "no answer": f"above {threshold:.2f} log odds" if self.settings.null_possible else "impossible",
        }

    def __repr__(self) -> str:
        return f"LoadedReader({self.facts()['model']} on {self.device})"

    @abstractmethod
    def size(self) -> str:
        """Say how many parameters the model has."""

    @abstractmethod
    def find_spans(
        self,
        features: Features,
        batches: Sequence[np.ndarray],
        config: DecodingConfig,
        *,
        window_shares: bool,
    ) -> Found:
        """Run features through the model and keep of each the best spans, or what else its head says.

        Args:
            features: to be answered.
            batches: which of them are run together.
            config: how to search.
            window_shares: keep, in place of logits, the logarithms of their softmax over each window's context and null
                position.

        """

    @abstractmethod
    def run(self, passes: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Run the inputs of several calls together, all of the same width; return the output of each."""


def longest_for(settings: ReaderSettings, tokenizer: PreTrainedTokenizerBase, positions: int | None) -> int:
    """Return the longest window, in tokens, that model and tokenizer take."""
    most: int = tokenizer.model_max_length
    return max(settings.max_length, min(positions or most, most))
