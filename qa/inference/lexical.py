"""How many telling pieces of words passages share with a question: BM25, by the bm25s library."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float64

from qa.adaptation.words import find_words
from qa.errors import MissingPackageError

_PIECE = 4  # characters


def lexical_scores(question: str, passages: Sequence[str]) -> Float64[np.ndarray, "passage"]:
    """Return the BM25 score of every passage, 0 where no piece is shared (Robertson's, as Lucene computes it).

    Words are those of `find_words`, in any script and lower case. What is compared are their pieces, so that "towers"
    and "tower" share some in any language, without its stemmer (McNamee and Mayfield, 2004). How telling a piece is, is
    counted in these passages.

    Raises:
        MissingPackageError: bm25s is not installed.

    """
    asked, index = word_pieces(question), _index(tuple(passages))
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
    pieces = [word_pieces(passage) for passage in passages]
    if not any(pieces):
        return None
    index = bm25s.BM25()
    index.index(pieces, show_progress=False)
    return index


def word_pieces(text: str) -> list[str]:
    """Return all pieces of a text's words: four characters in a row, of a word between the signs of its borders.

    A shorter word is one piece.
    """
    return [piece for word in find_words(text).words for piece in _pieces(f"<{word}>")]


@lru_cache(maxsize=100_000)  # words come again and again
def _pieces(word: str) -> tuple[str, ...]:
    return tuple(word[at : at + _PIECE] for at in range(max(1, len(word) - _PIECE + 1)))
