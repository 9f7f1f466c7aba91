"""BM25 against its definition, and what it takes."""

import math
from collections import Counter

import numpy as np
import pytest

from qa.inference.lexical import lexical_scores

pytest.importorskip("bm25s", reason="needs bm25s; pip install 'extractive-qa[search]'")

PASSAGES = ["The tower is tall. The tower is old.", "A river", "The river is long and old, the bridge is new."]


def by_definition(question, passages, k=1.5, b=0.75):
    """Lucene's: without the factor that all terms have in common."""
    words = [passage.lower().replace(".", "").replace(",", "").split() for passage in passages]
    mean, counts = sum(map(len, words)) / len(words), [Counter(one) for one in words]
    scores = np.zeros(len(passages))
    for word in question.lower().replace("?", "").split():
        having = sum(word in one for one in counts)
        idf = math.log(1 + (len(words) - having + 0.5) / (having + 0.5))
        for at, one in enumerate(counts):
            scores[at] += idf * one[word] / (one[word] + k * (1 - b + b * len(words[at]) / mean))
    return scores


@pytest.mark.parametrize("question", ["Is the tower old?", "river", "the the bridge", "zebra old"])
def test_scores_are_those_of_the_definition(question):
    np.testing.assert_allclose(lexical_scores(question, PASSAGES), by_definition(question, PASSAGES), rtol=1e-5)


@pytest.mark.parametrize(
    ("question", "passages"), [("?", PASSAGES), ("tower", ["!", "…"]), ("zebra", PASSAGES), ("x", [])]
)
def test_where_no_word_is_shared_all_are_alike(question, passages):
    assert lexical_scores(question, passages).tolist() == [0.0] * len(passages)


def test_scripts_without_spaces_have_words_too():
    first, second = lexical_scores("灯塔多高", ["灯塔高三十四米。", "河流很长。"])
    assert first > second == 0
