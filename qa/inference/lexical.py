"""How many telling words passages share with a question: BM25, by the bm25s library."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float64

from qa.adaptation.words import find_words
from qa.errors import MissingPackageError


def lexical_scores(question: str, passages: Sequence[str]) -> Float64[np.ndarray, "passage"]:
    """Return the BM25 score of every passage, 0 where no word is shared (Robertson's, as Lucene computes it).

    Words are those of `find_words`, in any script and lower case; how telling one is, is counted in these passages.

    Raises:
        MissingPackageError: bm25s is not installed.

    """
    asked, index = find_words(question).words, _index(tuple(passages))
    if not asked or index is None:
        return np.zeros(len(passages))
    return np.asarray(index.get_scores(asked), dtype=np.float64)


@lru_cache(maxsize=4)  # the same passages are searched again and again, and finding their words takes the time
def _index(passages: tuple[str, ...]) -> Any | None:  # noqa: ANN401  # the library has no types
    """Return an index of passages; None where they have no words."""
    try:
        import bm25s  # noqa: PLC0415  # an extra: calls and plain searches do without it
    except ImportError as error:
        raise MissingPackageError(
            "not installed: bm25s; install it with: pip install 'extractive-qa[search]'"
        ) from error
    words = [find_words(passage).words for passage in passages]
    if not any(words):
        return None
    index = bm25s.BM25()
    index.index(words, show_progress=False)
    return index
