"""How much of the texts a reader does not see: what its tokenizer does not know, and the end of long questions."""

from dataclasses import astuple, dataclass

import numpy as np

from qa.features.windows import Features, Ragged

WARNED_ABOVE = 0.1
"""Share of unknown tokens that is far above what emoji, rare signs and names make of texts in a model's language."""


@dataclass(frozen=True, kw_only=True)
class UnknownTokens:
    """Tokens that stand for what the tokenizer does not know, and how many there are in all."""

    unknown_in_questions: int = 0
    in_questions: int = 0
    unknown_in_contexts: int = 0
    in_contexts: int = 0

    def __add__(self, other: "UnknownTokens") -> "UnknownTokens":
        """Return those of both."""
        sums = (one + more for one, more in zip(astuple(self), astuple(other), strict=True))
        return UnknownTokens(**dict(zip(vars(self), sums, strict=True)))

    @property
    def shares(self) -> dict[str, float]:
        """Shares of the tokens of questions and of contexts, from 0 to 1."""
        return {
            "questions": self.unknown_in_questions / max(1, self.in_questions),
            "contexts": self.unknown_in_contexts / max(1, self.in_contexts),
        }

    @property
    def warning(self) -> str | None:
        """What is to be said where the shares are too large to answer anything; None where they are not."""
        if max(self.shares.values()) <= WARNED_ABOVE:
            return None
        return f"the tokenizer does not know these texts ({self}): wanted a model of their language"

    def __str__(self) -> str:
        shares = self.shares
        return (
            f"{shares['questions']:.1%} of the tokens of questions and {shares['contexts']:.1%} of contexts are unknown"
        )


def unknown_tokens(features: Features, *, blank_contexts: int = 0) -> UnknownTokens:
    """Count the unknown tokens of questions and of distinct contexts.

    Some tokenizers drop what they do not know. A text of which no token is left counts as an unknown token.

    Args:
        features: of the texts.
        blank_contexts: how many of the distinct contexts are white space, of which no token is to be left.

    """
    unknown_id = features.template.unknown_id
    questions = _counted(features.question_ids, unknown_id, blank=0)
    contexts = _counted(features.context_ids, unknown_id, blank=blank_contexts)
    return UnknownTokens(
        unknown_in_questions=questions[0],
        in_questions=questions[1],
        unknown_in_contexts=contexts[0],
        in_contexts=contexts[1],
    )


def _counted(texts: Ragged, unknown_id: int | None, *, blank: int) -> tuple[int, int]:
    empty = max(int(np.count_nonzero(texts.lengths == 0)) - blank, 0)  # some tokenizers have tokens for white space
    unknown = int(np.count_nonzero(texts.values == unknown_id)) if unknown_id is not None else 0
    return unknown + empty, len(texts.values) + empty


def long_questions(features: Features, longest: int) -> str | None:
    """Return what is to be said where a reader does not see the end of questions; None where none is that long.

    Args:
        features: of the texts.
        longest: tokens of a question that were kept.

    """
    count = int(np.count_nonzero(features.question_ids.lengths >= longest))
    if not count:
        return None
    return (
        f"{count} of {len(features.question_ids)} questions have {longest} tokens or more, of which the first "
        f"{longest} are read (features.max-question-length)"
    )
