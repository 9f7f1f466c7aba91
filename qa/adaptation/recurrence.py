"""Words of a text -> spans that recur in it."""

import numpy as np
from jaxtyping import Bool, Int


def recurring_spans(
    word: Int[np.ndarray, "word"],
    sentence: Int[np.ndarray, "word"],
    may_border: Bool[np.ndarray, "word"],
    *,
    longest: int,
) -> list[tuple[int, Int[np.ndarray, "occurrence"]]]:
    """Find the longest spans of words that occur in several sentences: (words, first word of each occurrence).

    A span lies in one sentence, and begins and ends with words that may border one. Long spans go first, and no word
    is in two: of "Francisco de Orellana" twice and "Orellana" twice more, both are found with two occurrences each.

    Args:
        word: number of each word's text.
        sentence: number of each word's sentence.
        may_border: whether a span may begin or end with the word.
        longest: words of a span at most.

    """
    names = [word]  # names[n][i]: number of the text of the n + 1 words from i
    for size in range(2, longest + 1):
        names.append(_extended(names[-1], word, size))
    taken = np.zeros(len(word), dtype=bool)
    found = []
    for size in range(longest, 0, -1):
        starts = np.arange(len(word) - size + 1)
        last = starts + size - 1
        fits = (sentence[starts] == sentence[last]) & may_border[starts] & may_border[last]
        candidates = starts[fits]
        for same in _groups(names[size - 1][candidates], candidates):
            free = _free(same, size, taken)
            if len(np.unique(sentence[free])) > 1:
                found.append((size, free))
                taken[(free[:, None] + np.arange(size)).ravel()] = True
    return found


def _extended(names: Int[np.ndarray, "shorter"], word: Int[np.ndarray, "word"], size: int) -> Int[np.ndarray, "longer"]:
    """Name the spans of `size` words, of which those of one word less have names: the same number for the same text."""
    count = len(word) - size + 1
    if count <= 0:
        return np.empty(0, dtype=np.int64)
    _, extended = np.unique(names[:count] * (int(word.max()) + 1) + word[size - 1 :], return_inverse=True)
    return extended


def _groups(names: Int[np.ndarray, "span"], starts: Int[np.ndarray, "span"]) -> list[Int[np.ndarray, "occurrence"]]:
    """Return the starts of spans that are there more than once, those of one name together, by first start."""
    order = np.argsort(names, kind="stable")
    borders = np.flatnonzero(np.diff(names[order])) + 1
    several = [group for group in np.split(starts[order], borders) if len(group) > 1]
    return sorted(several, key=lambda group: int(group[0]))


def _free(starts: Int[np.ndarray, "span"], size: int, taken: Bool[np.ndarray, "word"]) -> Int[np.ndarray, "free"]:
    """Return the starts of spans that overlap neither what is taken nor each other."""
    free, end = [], 0
    for start in starts.tolist():
        if start >= end and not taken[start : start + size].any():
            free.append(start)
            end = start + size
    return np.array(free, dtype=np.int64)
