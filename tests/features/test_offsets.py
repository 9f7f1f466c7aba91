"""Offsets that cover the text: against a dull loop, for any text and any tokens; then one test per kind of hole."""

import itertools

import numpy as np
import pytest
from hypothesis import example as with_example
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from qa.features.offsets import TokenOffsets, cover_texts
from tests.support.windows import cluster_borders, plain_cover

PIECES = st.sampled_from(
    [
        *("a", "B", " ", "  ", "\n", "\r\n", "e\u0301", " \u0301", "🇫🇷", "👩\u200d🔬", "\u1112\u1161\u11ab", "क्ष"),
        *("ที่", "\u200b", "\ufeff", "\u0600", "\u200d", "東", "葛\U000e0100", "\u2028", "\u3000", "ﬁ", "\x00"),
    ]
)
TEXTS = st.lists(PIECES, max_size=14).map("".join)


@st.composite
def text_and_offsets(draw):
    """Mostly in order, often with holes and overlaps, sometimes empty or backwards."""
    text = draw(TEXTS)
    place = st.integers(0, len(text))
    pairs = [tuple(sorted(draw(st.tuples(place, place)))) for _ in range(draw(st.integers(0, 8)))]
    return text, pairs if draw(st.integers(0, 9)) == 0 else sorted(pairs)


def covered(*pairs):
    texts = [text for text, _ in pairs]
    flat = np.array([offset for _, offsets in pairs for offset in offsets], dtype=np.int32).reshape(-1, 2)
    bounds = np.cumsum([0, *(len(offsets) for _, offsets in pairs)])
    found = cover_texts(texts, TokenOffsets(start=flat[:, 0], end=flat[:, 1], bounds=bounds))
    assert found.start.dtype == found.end.dtype == np.int32
    spans = list(zip(found.start.tolist(), found.end.tolist(), strict=True))
    return [spans[begin:end] for begin, end in itertools.pairwise(found.bounds.tolist())]


@settings(deadline=None)
@given(st.lists(text_and_offsets(), max_size=4))
@with_example([("ab", [(0, 1)]), ("", []), (" \u0301x", [(2, 3)]), ("\u0301", [(0, 1)])])
@with_example([("a\r", [(0, 2)]), ("\nb", [(1, 2)])])
def test_offsets_are_those_of_the_loop_for_any_text_and_any_tokens(pairs):
    assert covered(*pairs) == [plain_cover(text, offsets) for text, offsets in pairs]


@settings(deadline=None)
@given(text_and_offsets())
def test_all_but_white_space_is_covered_in_order_without_cutting_a_cluster(pair):
    text, offsets = pair
    (spans,) = covered(pair)
    if offsets:
        held = {place for start, end in spans for place in range(start, end)}
        assert not [place for place in range(len(text)) if not text[place].isspace() and place not in held]
    assert sorted(spans) == spans
    assert all(earlier[1] <= later[1] for earlier, later in itertools.pairwise(spans))
    assert {place for span in spans for place in span} <= set(cluster_borders(text))


@settings(deadline=None)
@given(text_and_offsets())
def test_covering_what_is_covered_changes_nothing(pair):
    (spans,) = covered(pair)
    assert covered((pair[0], spans)) == [spans]


# --- kinds of holes, with tokenizers that have them ---


def characters(normalizer=None, pre_tokenizer=None):
    """A tokenizer of characters, each known or not."""
    backend = Tokenizer(models.BPE(vocab={"?": 0}, merges=[], unk_token="?"))
    backend.normalizer = normalizer or normalizers.Sequence([])
    backend.pre_tokenizer = pre_tokenizer or pre_tokenizers.BertPreTokenizer()
    return backend


def pieces(text, backend):
    (spans,) = covered((text, backend.encode(text).offsets))
    return [text[start:end] for start, end in dict.fromkeys(spans)]


UNCASED = normalizers.BertNormalizer(lowercase=True, strip_accents=True)
LOSES_LETTERS = pre_tokenizers.Sequence(
    [pre_tokenizers.Whitespace(), pre_tokenizers.ByteLevel(add_prefix_space=True), pre_tokenizers.Punctuation()]
)
DROPS_COMMAS = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.CharDelimiterSplit(",")])
DROPS_OS = normalizers.Replace("o", "")
KINDS = {
    "stripped accents": ("Cafe\u0301s", characters(UNCASED), ["C", "a", "f", "e\u0301", "s"]),
    "several marks": ("Vie\u0323\u0302t", characters(UNCASED), ["V", "i", "e\u0323\u0302", "t"]),
    "vowel signs": ("हिन्दी", characters(UNCASED), ["हि", "न्दी"]),
    "format characters": ("a\u200bb c\ufeff d", characters(UNCASED), ["a", "\u200bb", "c\ufeff", "d"]),
    "control characters at the ends": ("\x00a b\x00\x01", characters(UNCASED), ["\x00a", "b\x00\x01"]),
    "a control character alone": ("a \x00 b", characters(UNCASED), ["a", "\x00 b"]),
    "composed syllables": ("\u1112\u1161\u11ab a", characters(normalizers.NFC()), ["\u1112\u1161\u11ab", "a"]),
    "lost first letters": ("La a (up)", characters(None, LOSES_LETTERS), ["L", "a", "a", "(", "u", "p", ")"]),
    "lost punctuation": ("up, (,x", characters(None, DROPS_COMMAS), ["u", "p,", "(", ",x"]),
    "lost letters": ("so do oo x oo", characters(DROPS_OS), ["so", "do", "oo x oo"]),
    "expanded characters": ("ﬁ", characters(normalizers.NFKC()), ["ﬁ"]),
    "nothing": ("東京 is e\u0301 ok", characters(), ["東", "京", "i", "s", "e\u0301", "o", "k"]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_holes_of_this_kind_are_closed(kind):
    text, backend, wanted = KINDS[kind]
    assert pieces(text, backend) == wanted
