"""Windows as they are shown: places of the context, and labels that are the references."""

import itertools

import pytest

from qa.config import FeaturesConfig
from qa.features.labels import build_labels
from qa.features.views import windows_of
from qa.features.windows import build_features
from tests.support import tiny

CONTEXT = "The lighthouse of Skarholm was built in 1871 by Ragna Lund. " * 6
ROWS = tiny.examples(
    tiny.example("Who built it?", CONTEXT, ("Ragna Lund", CONTEXT.rindex("Ragna Lund"))),
    tiny.example("Why?", "", id="empty"),
    tiny.example("Why?", CONTEXT),
)


@pytest.fixture(scope="module")
def found():
    tokenizer = tiny.tokenizer()
    features = build_features(ROWS, tokenizer, FeaturesConfig(max_length=40, doc_stride=8, max_question_length=16))
    labels = build_labels(ROWS, features)
    return features, [windows_of(features, labels, row, tokenizer) for row in range(len(ROWS))], tokenizer


def test_every_window_of_an_example_is_shown_with_its_tokens(found):
    features, (windows, _, others), _ = found
    assert len(windows) == (features.example == 0).sum() > 2
    assert len(others) == (features.example == 2).sum()
    assert windows[0].place[0] == 0
    assert windows[-1].place[1] == len(CONTEXT.rstrip())
    for one, after in itertools.pairwise(windows):
        assert after.place[0] < one.place[1]  # they overlap
    for window in windows:
        assert window.length <= 40
        assert (window.tokens[0].place[0], window.tokens[-1].place[1]) == window.place
        for token in window.tokens:
            start, end = token.place
            assert CONTEXT[start:end].lower() == token.token.removeprefix("##")


def test_a_label_is_the_reference_and_stands_where_a_window_holds_it_whole(found):
    _, (windows, _, others), _ = found
    start = CONTEXT.rindex("Ragna Lund")
    wanted = (start, start + len("Ragna Lund"))
    for window in windows:
        holds = window.place[0] <= wanted[0] and wanted[1] <= window.place[1]
        assert window.labels == ((wanted,) if holds else ())
    assert any(window.labels for window in windows)
    assert not any(window.labels for window in others)


def test_nothing_is_known_of_an_empty_context_or_without_labels(found):
    features, (_, (empty,), _), tokenizer = found
    assert (empty.tokens, empty.place, empty.labels) == ((), (0, 0), ())
    assert all(window.labels == () for window in windows_of(features, None, 0, tokenizer))
