"""How many telling words passages share with a question: BM25, by the bm25s library."""

from collections.abc import Sequence

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
    try:
        import bm25s  # noqa: PLC0415  # an extra: calls and plain searches do without it
    except ImportError as error:
        raise MissingPackageError("not installed: bm25s; install it with: pip install 'qa[search]'") from error
    asked, words = find_words(question).words, [find_words(passage).words for passage in passages]
    if not asked or not any(words):
        return np.zeros(len(passages))
    index = bm25s.BM25()
    index.index(words, show_progress=False)
    return np.asarray(index.get_scores(asked), dtype=np.float64)
