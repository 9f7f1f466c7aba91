"""The dicts that a caller gets; word borders."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qa.inference.answers import word_borders
from tests.support.predictors import CONTEXT, QUESTION, pairs, with_settings


def test_more_answers_are_a_list_for_every_input(predictor):
    best = predictor(question=QUESTION, context=CONTEXT)
    single = predictor(question=QUESTION, context=CONTEXT, top_k=4)
    several = predictor(question=[QUESTION], context=CONTEXT, top_k=4)
    assert [single] == several
    assert single[0] == best
    assert len(single) == 4
    assert [one["score"] for one in single] == sorted((one["score"] for one in single), reverse=True)


def test_probabilities_of_all_answers_sum_to_one(predictor):
    many = with_settings(predictor, n_best=50)(question=QUESTION, context="Yes, no.", top_k=50)
    assert sum(one["score"] for one in many) == pytest.approx(1)
    assert [one["score"] for one in many if not one["answer"]] == [many[0]["no_answer_score"]]


@pytest.mark.parametrize(
    ("text", "part", "wanted"),
    [
        ("Born in 1990s Oslo.", "1990", "1990s"),
        ("Beyoncé sang", "Beyonc", "Beyoncé"),
        ("an anti-war march", "war", "war"),
        ("cost $400 million", "00 mill", "400 million"),
        ("Don't go", "Do", "Don"),
        ("हिन्दी भाषा", "हिन", "हिन्दी"),
        ("東京は日本の首都", "日本", "日本"),
        ("whole", "whole", "whole"),
    ],
)
def test_borders_inside_a_word_move_to_its_border(text, part, wanted):
    start = text.index(part)
    begin, end = word_borders(text, start, start + len(part))
    assert text[begin:end] == wanted


@given(st.text(alphabet="ab 1.-é本", min_size=1, max_size=12), st.data())
@settings(max_examples=200, deadline=None)
def test_word_borders_equal_the_dull_way(text, data):
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    inside = [character in "ab1é" for character in text]
    borders = [at for at in range(len(text) + 1) if at in (0, len(text)) or not (inside[at - 1] and inside[at])]
    wanted = max(at for at in borders if at <= start), min(at for at in borders if at >= end)
    assert word_borders(text, start, end) == wanted


def test_aligned_answers_end_at_words_and_come_once(predictor):
    plain = predictor(pairs(10), top_k=20, no_answer=False)
    aligned = predictor(pairs(10), top_k=20, no_answer=False, align_to_words=True)
    assert plain != aligned
    for asked, found, raw in zip(pairs(10), aligned, plain, strict=True):
        places = [(one["start"], one["end"]) for one in found]
        assert len(set(places)) == len(places)
        assert places == list(dict.fromkeys(word_borders(asked["context"], one["start"], one["end"]) for one in raw))
        assert all(asked["context"][one["start"] : one["end"]] == one["answer"] for one in found)
