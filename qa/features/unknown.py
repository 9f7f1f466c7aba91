"""How much of the texts a tokenizer does not know."""

from dataclasses import dataclass

import numpy as np

from qa.features.windows import Features, Ragged

WARNED_ABOVE = 0.1
"""Share of unknown tokens that is far above what emoji, rare signs and names make of texts in a model's language."""


@dataclass(frozen=True, kw_only=True)
class UnknownShares:
    """Shares of tokens that stand for what the tokenizer does not know, from 0 to 1."""

    questions: float
    contexts: float

    @property
    def warning(self) -> str | None:
        """What is to be said where the shares are too large to answer anything; None where they are not."""
        if max(self.questions, self.contexts) <= WARNED_ABOVE:
            return None
        return f"the tokenizer does not know these texts ({self}): wanted a model of their language"

    def __str__(self) -> str:
        return f"{self.questions:.1%} of the tokens of questions and {self.contexts:.1%} of contexts are unknown"


def unknown_shares(features: Features) -> UnknownShares:
    """Count the unknown tokens of questions and of distinct contexts.

    Some tokenizers drop what they do not know. A text of which no token is left counts as an unknown token.
    """
    unknown = features.template.unknown_id
    return UnknownShares(
        questions=_share(features.question_ids, unknown), contexts=_share(features.context_ids, unknown)
    )


def _share(texts: Ragged, unknown_id: int | None) -> float:
    empty = int(np.count_nonzero(texts.lengths == 0))
    unknown = np.count_nonzero(texts.values == unknown_id) if unknown_id is not None else 0
    return float((unknown + empty) / max(1, len(texts.values) + empty))
