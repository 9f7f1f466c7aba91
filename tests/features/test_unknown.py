"""The share of unknown tokens."""

import pytest

from qa.features.unknown import unknown_shares
from qa.features.windows import build_features
from tests.support import tiny
from tests.support.windows import config


def shares(*rows, family="bert"):
    return unknown_shares(build_features(tiny.examples(*rows), tiny.tokenizer(family), config()))


def test_unknown_tokens_are_counted_once_per_context():
    found = shares(tiny.example("一 二?", "the 漢 river"), tiny.example("the river?", "the 漢 river"))
    assert found.questions == pytest.approx(2 / 6)
    assert found.contexts == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("question", "context", "warned"),
    [("Who built it?", "Ada built it.", False), ("谁?", "Ada built it.", True), ("Who?", "东京东京东京", True)],
)
def test_texts_that_the_tokenizer_does_not_know_are_warned_of(question, context, warned):
    warning = shares(tiny.example(question, context)).warning
    assert (warning is not None) == warned
    assert not warned or "% of the tokens of questions and" in warning


def test_bytes_know_every_text():
    found = shares(tiny.example("谁?", "东京东京东京"), family="roberta")
    assert (found.questions, found.contexts, found.warning) == (0.0, 0.0, None)


def test_a_text_that_is_dropped_is_unknown():
    """Control characters are none of the uncased tokenizer's."""
    assert shares(tiny.example("\x01\x02", "Ada")).questions == 1.0
