"""Words and sentences of texts in several scripts."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qa.adaptation.words import find_words


def sentences(text):
    found = find_words(text)
    bounds = found.sentence_bounds.tolist()
    return [found.words[a:b] for a, b in itertools.pairwise(bounds)]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Ragna's well-known lamp, 3.5 m.", [["ragna's", "well-known", "lamp", "3.5", "m"]]),
        ("It burns. It shines!\nSo?", [["it", "burns"], ["it", "shines"], ["so"]]),
        ("Dr. no sentence, e.g. this", [["dr", "no", "sentence", "e.g", "this"]]),
        ("灯塔高。很亮", [["灯", "塔", "高"], ["很", "亮"]]),
        ("बना था। वह ऊँचा है", [["बना", "था"], ["वह", "ऊँचा", "है"]]),
        ("بني البرج؟ نعم", [["بني", "البرج"], ["نعم"]]),
        ("یہ بلند ہے۔ وہ پرانا ہے۔", [["یہ", "بلند", "ہے"], ["وہ", "پرانا", "ہے"]]),  # Urdu
        ("Մեծ է։ Հին է։", [["մեծ", "է"], ["հին", "է"]]),
        ("ረጅም ነው። አሮጌ ነው።", [["ረጅም", "ነው"], ["አሮጌ", "ነው"]]),
        ("\n\n ... \n", []),
        ("", []),
    ],
)
def test_words_and_sentences(text, wanted):
    assert sentences(text) == wanted


def test_combining_marks_belong_to_their_word():
    text = "cafe\u0301 กิน"
    assert "cafe\u0301" in find_words(text).words
    assert "กิ" in find_words(text).words  # a vowel sign is no word


@settings(deadline=None)
@given(st.text(alphabet="aB1. \n,'-灯é。?", max_size=60))
def test_places_ascend_and_sentences_cover_all_words(text):
    found = find_words(text)
    assert (found.start < found.end).all()
    assert (found.end[:-1] <= found.start[1:]).all()
    bounds = found.sentence_bounds
    assert bounds[-1] == len(found)
    assert (np.diff(bounds) > 0).all()
    for number, (begin, end) in enumerate(itertools.pairwise(bounds)):
        assert (found.sentence[begin:end] == number).all()
