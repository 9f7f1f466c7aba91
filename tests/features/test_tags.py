"""Tags of tokens against a loop over windows; then windows that hold a part of an answer."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qa.features.collation import collate
from qa.features.labels import build_labels, reference_tokens, references_of
from qa.features.round_trip import label_round_trip
from qa.features.sampling import short_windows
from qa.features.tags import BEGINS, ENDS, NO_TAG
from qa.features.windows import build_features
from tests.support import tiny
from tests.support.windows import config

INPUTS = ("input_ids", "attention_mask")
WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


def spans(row):
    pairs = zip(row["answers"]["answer_start"], row["answers"]["text"], strict=True)
    return [(start, start + len(text)) for start, text in pairs]


def plain_tags(features, rows, every):
    """Of every feature the tags of its context's tokens: of disjoint references, those that begin first win."""
    first, last = reference_tokens(references_of(rows.with_format("arrow")[:]), features)
    bounds = np.cumsum([0, *(len(row["answers"]["text"]) for row in rows)])
    found = []
    for example, begin, size in zip(features.example, features.first, features.size, strict=True):
        own = range(bounds[example], bounds[example + 1])
        kept, end = [], -1
        for one in sorted(own, key=lambda row: (first[row], -last[row])) if every else list(own)[:1]:
            if first[one] > end:
                kept.append((first[one], last[one]))
                end = last[one]
        found.append(
            [
                BEGINS * any(token == start for start, _ in kept) + ENDS * any(token == stop for _, stop in kept)
                for token in range(begin, begin + size)
            ]
        )
    return found


def our_tags(features, labels, multiple=8):
    batch = collate(features, np.arange(len(features)), input_names=INPUTS, pad_multiple=multiple, labels=labels)
    assert batch.label_first is None
    tags = batch.tags.numpy()
    assert ((tags == NO_TAG) == ~batch.in_context.numpy()).all()
    return [row[row != NO_TAG].tolist() for row in tags]


@st.composite
def several_rows(draw):
    made = []
    for _ in range(draw(st.integers(1, 3))):
        words = draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=40))
        text = " ".join(words)
        starts = list(itertools.accumulate((len(word) + 1 for word in words), initial=0))[:-1]
        places = st.tuples(st.integers(0, len(words) - 1), st.integers(0, 12))
        answers = []
        for at, more in draw(st.lists(places, max_size=5)):
            stop = min(at + more, len(words) - 1)
            answers.append((text[starts[at] : starts[stop] + len(words[stop])], starts[at]))
        made.append(tiny.example("Which?", text, *answers))
    return tiny.examples(*made)


@pytest.mark.parametrize("family", ["bert", "xlnet"])
@settings(deadline=None, max_examples=40)
@given(several_rows(), st.sampled_from([(24, 0), (24, 5), (128, 30)]), st.booleans())
def test_tags_equal_the_loop(family, rows, sizes, every):
    features = build_features(rows, tiny.tokenizer(family), config(*sizes, 8))
    labels = build_labels(rows, features, every=every, tagged=True)
    assert our_tags(features, labels) == plain_tags(features, rows, every)
    trip = label_round_trip(features, labels, rows)
    assert trip.exact == trip.labelled


def test_an_answer_that_no_window_holds_begins_in_one_and_ends_in_another():
    rows = tiny.examples(tiny.example("Which?", " ".join(WORDS * 4), " ".join(WORDS * 2)))
    features = build_features(rows, tiny.tokenizer(), config(24, 4, 6))
    tags = our_tags(features, build_labels(rows, features, tagged=True))
    assert tags[0] == [BEGINS, *[0] * (len(tags[0]) - 1)]
    assert [tag for row in tags[1:] for tag in row if tag] == [ENDS]


def test_short_windows_hold_a_part_of_an_answer_where_they_are_shorter_than_it():
    rows = tiny.examples(tiny.example("Which?", " ".join(WORDS * 4), " ".join(WORDS * 3)))
    features = build_features(rows, tiny.tokenizer(), config(128, 4, 6))
    labels = build_labels(rows, features, tagged=True)
    cut, cut_labels = short_windows(features, labels, max_length=20, seed=0, epoch=0)
    assert cut_labels.tagged
    (tags,) = our_tags(cut, cut_labels)
    assert tags == [BEGINS, *[0] * (len(tags) - 1)]
    assert len(tags) < features.size[0]


def test_without_references_nothing_is_an_answer():
    rows = tiny.examples(tiny.example("Which?", "one two three"))
    features = build_features(rows, tiny.tokenizer(), config(24, 4, 6))
    (tags,) = our_tags(features, build_labels(rows, features, every=True, tagged=True))
    assert set(tags) == {0}
