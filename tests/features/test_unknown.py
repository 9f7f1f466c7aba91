"""The share of unknown tokens, and questions that are cut."""

import pytest

from qa.features.unknown import long_questions, unknown_tokens
from qa.features.windows import build_features
from tests.support import tiny
from tests.support.windows import config


def found_in(*rows, family="bert"):
    return unknown_tokens(build_features(tiny.examples(*rows), tiny.tokenizer(family), config()))


def test_unknown_tokens_are_counted_once_per_context():
    found = found_in(tiny.example("一 二?", "the 漢 river"), tiny.example("the river?", "the 漢 river"))
    assert found.shares == {"questions": pytest.approx(2 / 6), "contexts": pytest.approx(1 / 3)}


@pytest.mark.parametrize(
    ("question", "context", "warned"),
    [("Who built it?", "Ada built it.", False), ("谁?", "Ada built it.", True), ("Who?", "东京东京东京", True)],
)
def test_texts_that_the_tokenizer_does_not_know_are_warned_of(question, context, warned):
    warning = found_in(tiny.example(question, context)).warning
    assert (warning is not None) == warned
    assert not warned or "% of the tokens of questions and" in warning


def test_bytes_know_every_text():
    found = found_in(tiny.example("谁?", "东京东京东京"), family="roberta")
    assert (found.shares, found.warning) == ({"questions": 0.0, "contexts": 0.0}, None)


def test_a_text_that_is_dropped_is_unknown():
    """Control characters are none of the uncased tokenizer's."""
    assert found_in(tiny.example("\x01\x02", "Ada")).shares["questions"] == 1.0


def test_counts_of_parts_add_up_to_those_of_the_whole():
    rows = [tiny.example("一 二?", "the 漢 river"), tiny.example("Who?", "Ada built it.")]
    assert found_in(rows[0]) + found_in(rows[1]) == found_in(*rows)


def test_questions_whose_end_is_not_read_are_counted():
    rows = tiny.examples(tiny.example("who who who who?", "Ada"), tiny.example("who?", "Ada"))
    features = build_features(rows, tiny.tokenizer(), config(64, 8, 5))
    assert long_questions(features, 5) == (
        "1 of 2 questions have 5 tokens or more, of which the first 5 are read (features.max-question-length)"
    )
    assert long_questions(features, 6) is None
