"""Clusters, against the cases of Unicode's annex and against each other."""

import random

import numpy as np
import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from qa.features.graphemes import cluster_starts, cuts_cluster, is_unseen, is_white, may_join, trimmed, visible_span

CLUSTERS = {
    "marks": ["e\u0301", "o\u0302\u0323", "x"],
    "marks without a letter": ["\n", "\u0301", "a"],
    "a mark on a space": ["a", " \u0301", "b"],
    "line ends": ["a", "\r\n", "\r", "b", "\n", "\r"],
    "decomposed Hangul": ["\u1112\u1161\u11ab", "\u1100\u1173\u11af", "한", "한\u11ab"],
    "Hindi": ["हि", "न्दी", " ", "क्ष"],
    "Thai": ["ท่", "า", "เ", "รื", "อ"],
    "Tamil": ["நி", "னை"],
    "Myanmar, of which the annex cuts the last": ["မြ", "န်", "မာ"],
    "a conjunct behind a vowel that the annex cuts off": ["東\u1063\u1039\u1055", "x"],
    "vocalised Arabic": ["مُ", "حَ", "مَّ", "د"],
    "pointed Hebrew": ["שָׁ", "ל", "וֹ", "ם"],
    "Persian": ["ن", "م", "ی\u200c", "خ"],
    "emoji": ["👩\u200d🔬", "👍🏽", "❤\ufe0f\u200d🔥", "1\ufe0f\u20e3", "👨\u200d👩\u200d👧"],
    "flags": ["🇫🇷", "🇩🇪", "🇺", "x", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"],
    "variants of ideographs": ["葛\U000e0100", "城"],
    "format characters": ["a", "\u200b", "\ufeff", "b", "\u00ad", "c"],
    "a sign before a number": ["\u0600١", "\u0600 ", "x"],
}


@pytest.mark.parametrize("kind", CLUSTERS)
def test_clusters_are_those_of_the_annex_and_no_mark_is_alone(kind):
    clusters = CLUSTERS[kind]
    text = "".join(clusters)
    wanted = np.cumsum([0, *map(len, clusters)]).tolist()
    assert np.flatnonzero(cluster_starts(text)).tolist() == wanted[:-1]
    assert [at for at in range(len(text) + 1) if not cuts_cluster(text, at)] == wanted


PIECES = st.sampled_from(
    [piece for clusters in CLUSTERS.values() for piece in clusters] + list("\u0301\u200d🇫🏽क्\r\n ")
)
TEXTS = st.lists(PIECES | st.text(max_size=3), max_size=30).map("".join)


@settings(deadline=None)
@given(TEXTS)
def test_a_place_is_in_a_cluster_where_none_begins_wherever_one_looks_from(text):
    starts = cluster_starts(text).tolist()
    assert [not cuts_cluster(text, at) for at in range(len(text))] == starts
    assert not cuts_cluster(text, len(text))


@settings(deadline=None)
@given(TEXTS)
def test_characters_that_join_none_are_clusters_of_their_own(text):
    codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    starts, joins = cluster_starts(text), may_join(codes)
    cut = np.flatnonzero(~starts)
    assert (joins[cut] | joins[cut - 1]).all()
    assert is_white(codes).tolist() == [character.isspace() for character in text]


def test_every_character_that_extends_may_join():
    """Also beyond the table."""
    codes = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    joined = np.array([code for code in codes if len(regex.match(r"\X", f"a{chr(code)}").group()) == 2])
    assert len(joined) > 2000
    assert may_join(joined.astype(np.uint32)).all()
    assert may_join(np.array([0x41, 0x4E2D, 0xE9, 0x20], dtype=np.uint32)).tolist() == [False] * 4


def test_looking_at_one_place_of_a_long_text_does_not_read_it():
    text = "word " * 200_000 + "e\u0301" + " word" * 200_000
    assert cuts_cluster(text, 1_000_001)
    places = random.Random(0).sample(range(len(text)), 50_000)  # minutes, if each read the text
    assert sum(cuts_cluster(text, at) for at in places) == (1_000_001 in places)


def test_flags_without_end_are_paired_at_once():
    """Hours, if every one counted those before it."""
    assert np.flatnonzero(cluster_starts("x" + "🇫" * 1_000_001)).tolist() == [0, *range(1, 1_000_002, 2)]


# --- what is to be seen of a span ---


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (" Ada ", "Ada"),
        ("\u200bAda\u200e\u00ad\ufeff", "Ada"),
        ("\x00 Ada\r\n", "Ada"),
        (" \u0301Ada", " \u0301Ada"),
        ("Ada\u0600 ", "Ada\u0600 "),
        ("نمی\u200c", "نمی\u200c"),
        ("❤\ufe0f ", "❤\ufe0f"),
        (" \n\u200b", ""),
        ("", ""),
    ],
)
def test_what_cannot_be_seen_at_the_ends_is_left_out_without_cutting_a_cluster(text, seen):
    around = f"x {text} y"
    start, end = visible_span(around, 2, 2 + len(text))
    assert around[start:end] == seen


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (" Ada\n", "Ada"),
        ("  \u0301Ada ", " \u0301Ada"),
        ("\n\u0301Ada", "\u0301Ada"),
        ("Ada\u0600  ", "Ada\u0600 "),
        ("\u200bAda\r\n", "Ada"),
        ("\ufeffna\u00efve\u200f", "na\u00efve"),
        (" \u2003", ""),
        ("", ""),
    ],
)
def test_what_nobody_sees_at_the_ends_goes_unless_a_mark_is_on_it(text, kept):
    assert trimmed(text) == kept


def test_what_is_unseen_is_what_borders_move_past():
    """Of the basic plane; what is unseen beyond it, such as tags, is of the cluster before."""
    codes = np.r_[0:0xD800, 0xE000:0x10000]  # without halves of pairs
    moved = [visible_span(chr(code), 0, 1) == (1, 1) for code in codes.tolist()]
    np.testing.assert_array_equal(is_unseen(codes.astype(np.uint32)), moved)
    assert not is_unseen(np.array([0x10000, 0x1F600, 0xE0061], dtype=np.uint32)).any()
