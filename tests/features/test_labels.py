"""Labels against loops over windows; then one test per pitfall."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example as with_example
from hypothesis import given, settings
from hypothesis import strategies as st

from qa.features import labels
from qa.features.labels import References, build_labels, reference_tokens
from qa.features.round_trip import label_round_trip
from qa.features.windows import Ragged, build_features
from tests.support import tiny
from tests.support.windows import (
    LONG,
    config,
    notebook_label,
    our_labels,
    our_windows,
    plain_labels,
    plain_windows,
    windows_by_example,
)

PIECES = st.sampled_from(
    [" ", "  ", "\n", "é", "e\u0301", "🙂", "👩\u200d👧", "🇫🇷", "東京", "ﬁ", "½", "\u200b", "\x00", "[SEP]", "İ"]
)


CONTEXTS = st.lists(PIECES | st.text(max_size=4) | st.sampled_from(LONG.split()), min_size=1, max_size=40).map("".join)


@st.composite
def contexts_with_an_answer(draw):
    context = draw(CONTEXTS.filter(bool))
    start = draw(st.integers(0, len(context) - 1))
    end = draw(st.integers(start + 1, min(len(context), start + 30)))
    return context, (context[start:end], start)


@pytest.mark.parametrize("family", tiny.FAMILIES)
@settings(deadline=None, max_examples=60)
@given(contexts_with_an_answer(), st.sampled_from([(24, 0), (24, 5), (128, 30)]))
@with_example(("🙂", ("🙂", 0)), (24, 5))
@with_example(("a 👩\u200d👧 b", ("👩\u200d👧", 2)), (24, 0))
def test_windows_and_labels_equal_the_loop_on_any_text(family, text, sizes):
    tokenizer = tiny.fresh_tokenizer(family)
    row = tiny.example("Who is it?", text[0], text[1])
    examples = tiny.examples(row)
    max_length, doc_stride = sizes
    features = build_features(examples, tokenizer, config(max_length, doc_stride, 13))
    windows = plain_windows(tokenizer, row, max_length=max_length, doc_stride=doc_stride)
    assert our_windows(features) == windows
    assert our_labels(build_labels(examples, features)) == plain_labels(tokenizer, row, windows)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_labels_of_the_embedded_set_equal_the_loop_and_translate_back_to_every_reference(family):
    rows, tokenizer = tiny.sample_rows("validation"), tiny.tokenizer(family)
    examples = tiny.examples(*rows)
    features = build_features(examples, tokenizer, config(128, 32, 48))
    windows, labels = our_windows(features), our_labels(build_labels(examples, features))
    wanted = [plain_labels(tokenizer, row, here) for row, here in zip(rows, windows_by_example(features), strict=True)]
    assert labels == [label for of_row in wanted for label in of_row]
    trip = label_round_trip(features, build_labels(examples, features), examples)
    assert trip.labelled == sum(label is not None for label in labels)
    assert (trip.exact + trip.wider, trip.unlabelled_examples, trip.rate) == (trip.labelled, 0, 100.0)
    assert len(windows) > len(rows)


def test_labels_are_those_of_the_published_notebook_where_no_character_is_cut():
    rows, tokenizer = tiny.sample_rows("train"), tiny.tokenizer("bert")
    examples = tiny.examples(*rows)
    features = build_features(examples, tokenizer, config(128, 32, 48))
    labels = our_labels(build_labels(examples, features))
    for index, window in enumerate(our_windows(features)):
        answers = rows[features.example[index]]["answers"]
        spans = (
            (start, start + len(text)) for start, text in zip(answers["answer_start"], answers["text"], strict=True)
        )
        found = (notebook_label(window["offsets"], *span) for span in spans)
        assert labels[index] == next((label for label in found if label is not None), None)


def test_no_context_has_any_token():
    examples = tiny.examples(tiny.example("Who?", "\u200b", "\u200b"))
    features = build_features(examples, tiny.tokenizer(), config())
    assert our_labels(build_labels(examples, features)) == [None]
    assert label_round_trip(features, build_labels(examples, features), examples).unlabelled_examples == 1


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_answers_at_both_ends_of_a_context(family):
    context = "Nantes lies on the Loire"
    rows = [
        tiny.example("q", context, "Nantes"),
        tiny.example("q", context, "Loire"),
        tiny.example("q", context, context),
    ]
    examples = tiny.examples(*rows)
    features = build_features(examples, tiny.tokenizer(family), config())
    last = len(features.context_ids[0]) - 1
    labels = our_labels(build_labels(examples, features))
    assert [labels[0][0], labels[1][1], labels[2]] == [0, last, (0, last)]


def test_an_answer_that_no_window_holds_is_the_null_position_everywhere_and_counted():
    examples = tiny.examples(tiny.example("q", LONG, LONG))
    features = build_features(examples, tiny.tokenizer(), config(64, 20, 32))
    assert set(our_labels(build_labels(examples, features))) == {None}
    trip = label_round_trip(features, build_labels(examples, features), examples)
    assert (trip.labelled, trip.unlabelled_examples, trip.rate) == (0, 1, 100.0)


def test_without_references_nothing_is_labelled():
    examples = tiny.without_references(tiny.small())
    features = build_features(examples, tiny.tokenizer(), config())
    assert set(our_labels(build_labels(examples, features))) == {None}
    assert label_round_trip(features, build_labels(examples, features), examples).unlabelled_examples == 0


def decoded(features, labels, row):
    """The labelled texts of every feature."""
    start, end = features.char_spans(labels.feature, labels.first, labels.last)
    texts = [row["context"][a:b] for a, b in zip(start, end, strict=True)]
    return [texts[a:b] for a, b in itertools.pairwise(labels.bounds)]


def test_only_the_first_reference_is_the_label():
    row = tiny.example("q", "one two three", "two", "three", "one")
    examples = tiny.examples(row)
    features = build_features(examples, tiny.tokenizer(), config())
    assert decoded(features, build_labels(examples, features), row) == [["two"]]
    assert sorted(decoded(features, build_labels(examples, features, every=True), row)[0]) == ["one", "three", "two"]


def test_a_window_is_labelled_with_the_first_reference_that_lies_in_it():
    """Also where it is not the example's first: the window would be taught that it holds none."""
    row = tiny.example("q", f"one {'far ' * 60}two {'far ' * 60}one", "one", "two", ("one", 488))
    examples = tiny.examples(row)
    features = build_features(examples, tiny.tokenizer(), config(64, 8, 16))
    labelled = [texts for texts in decoded(features, build_labels(examples, features), row) if texts]
    assert labelled[0] == ["one"]
    assert labelled[-1] == ["one"]
    assert ["two"] in labelled


@pytest.mark.parametrize("family", ["bert", "xlnet"])
def test_several_references_are_labelled_as_the_loop_does(family):
    random, tokenizer = np.random.default_rng(0), tiny.fresh_tokenizer(family)
    rows = []
    for _ in range(40):
        words = random.choice(["one", "two", "of", "rivers", "Loire"], size=random.integers(1, 90)).tolist()
        starts = [int(random.integers(len(words))) for _ in range(random.integers(4))]
        context = " ".join(words)
        spans = [(words[at], len(" ".join([*words[:at], ""]))) for at in starts]
        rows.append(tiny.example("Which?", context, *spans, *spans[:1]))
    examples = tiny.examples(*rows)
    features = build_features(examples, tokenizer, config(40, 9, 16))
    labels, every = build_labels(examples, features), build_labels(examples, features, every=True)
    windows = windows_by_example(features)
    wanted = [plain_labels(tokenizer, row, here) for row, here in zip(rows, windows, strict=True)]
    assert our_labels(labels) == [label for of_row in wanted for label in of_row]
    wanted = [plain_labels(tokenizer, row, here, every=True) for row, here in zip(rows, windows, strict=True)]
    spans = list(zip(every.first.tolist(), every.last.tolist(), strict=True))
    assert [spans[a:b] for a, b in itertools.pairwise(every.bounds)] == [spans for row in wanted for spans in row]


def test_a_reference_without_a_place_is_no_label():
    row = tiny.example("q", "one two", ("two", -1), ("one", 0))
    examples = tiny.examples(row, tiny.example("q", "one two", ("two", -1)))
    features = build_features(examples, tiny.tokenizer(), config())
    labels = build_labels(examples, features)
    assert (labels.reference.tolist(), labels.bounds.tolist()) == ([1], [0, 1, 1])
    assert label_round_trip(features, labels, examples).unlabelled_examples == 0


def test_labels_are_right_where_all_characters_together_are_more_than_32_bits_count():
    start = np.array([0, 2_000_000_000] * 4, dtype=np.int32)
    features = build_features(tiny.small(4), tiny.tokenizer(), config())
    features = replace(
        features,
        context_of=np.arange(4, dtype=np.int32),
        context_ids=Ragged(np.zeros(8, dtype=np.int32), np.arange(0, 10, 2)),
        token_start=start,
        token_end=start + np.array([9, 1] * 4, dtype=np.int32),
    )
    references = References(np.full(4, 2), np.full(4, 4), np.arange(5))
    first, last = reference_tokens(references, features)
    assert (first.tolist(), last.tolist()) == ([0] * 4, [0] * 4)


@pytest.mark.parametrize("at_once", [1, 7])
@pytest.mark.parametrize("chosen", [{}, {"every": True}, {"tagged": True}, {"every": True, "tagged": True}])
def test_labels_and_round_trip_do_not_depend_on_how_many_examples_are_looked_at_together(at_once, chosen, monkeypatch):
    """References that tokens cut, contexts that recur, impossible examples and many windows among them."""
    shared = "far " * 60 + "the Loire flows and the Loire ends"
    rows = [
        *tiny.sample("train").select(range(12)).to_list(),
        tiny.example("Which?", shared, "Loire", "oir", "Loire flows", ("Loire", shared.rindex("Loire"))),
        tiny.example("None?", shared),
        tiny.example("What?", shared, "oir"),
    ]
    examples = tiny.examples(*rows, *rows[::-1])
    features = build_features(examples, tiny.tokenizer(), config(64, 8, 16))
    found, trips = [], []
    for size in (len(examples), at_once):
        monkeypatch.setattr(labels, "EXAMPLES_AT_ONCE", size)
        found.append(build_labels(examples, features, **chosen))
        trips.append(label_round_trip(features, found[-1], examples))
    for name, column in vars(found[0]).items():
        same = getattr(found[1], name)
        assert np.array_equal(column, same)
        assert getattr(column, "dtype", None) == getattr(same, "dtype", None)
    assert trips[0] == trips[1]
    assert trips[0].wider > 0
