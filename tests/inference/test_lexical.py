"""BM25 against its definition, and what it takes."""

import math
from collections import Counter

import numpy as np
import pytest

from qa.inference.lexical import lexical_scores, word_pieces

pytest.importorskip("bm25s", reason="needs bm25s; pip install 'extractive-qa[search]'")

PASSAGES = ["The tower is tall. The tower is old.", "A river", "The river is long and old, the bridge is new."]


def terms_of(text):
    words = text.lower().translate(str.maketrans("", "", ".,?")).split()
    return [f"<{word}>"[at : at + 4] for word in words for at in range(max(1, len(word) - 1))]


def by_definition(question, passages, k=1.5, b=0.75):
    """Lucene's: without the factor that all terms have in common."""
    terms = [terms_of(passage) for passage in passages]
    mean, counts = sum(map(len, terms)) / len(terms), [Counter(one) for one in terms]
    scores = np.zeros(len(passages))
    for term in terms_of(question):
        having = sum(term in one for one in counts)
        idf = math.log(1 + (len(terms) - having + 0.5) / (having + 0.5))
        for at, one in enumerate(counts):
            scores[at] += idf * one[term] / (one[term] + k * (1 - b + b * len(terms[at]) / mean))
    return scores


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", []),
        ("a of old", ["<a>", "<of>", "<old", "old>"]),
        ("Tower!", ["<tow", "towe", "ower", "wer>"]),
        ("灯塔", ["<灯>", "<塔>"]),
    ],
)
def test_words_are_cut_into_pieces_of_four_characters(text, pieces):
    assert word_pieces(text) == pieces


@pytest.mark.parametrize(
    ("question", "right", "other"),
    [
        ("Who builds towers?", "The builder of a tower", "A river that flows"),
        ("Wann war die Krönung?", "Er wurde 1066 gekrönt.", "Er wurde 1066 begraben."),
        ("من بنى المنارة؟", "بنيت منارة عالية.", "يجري النهر طويلا."),
    ],
)
def test_other_forms_of_a_word_count(question, right, other):
    first, second = lexical_scores(question, [right, other])
    assert first > second


@pytest.mark.parametrize("question", ["Is the tower old?", "river", "the the bridge", "zebra old"])
def test_scores_are_those_of_the_definition(question):
    np.testing.assert_allclose(lexical_scores(question, PASSAGES), by_definition(question, PASSAGES), rtol=1e-5)


@pytest.mark.parametrize(
    ("question", "passages"), [("?", PASSAGES), ("tower", ["!", "…"]), ("zebra", PASSAGES), ("x", [])]
)
def test_where_nothing_is_shared_all_are_alike(question, passages):
    assert lexical_scores(question, passages).tolist() == [0.0] * len(passages)


def test_scripts_without_spaces_have_words_too():
    first, second = lexical_scores("灯塔多高", ["灯塔高三十四米。", "河流很长。"])
    assert first > second == 0
