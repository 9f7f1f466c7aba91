"""Spans that recur, against a loop over all spans."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from qa.adaptation.recurrence import recurring_spans


def found(words, sentences, borders=None, longest=4):
    known = {}
    word = np.array([known.setdefault(one, len(known)) for one in words], dtype=np.int64)
    sentence = np.array(sentences, dtype=np.int64)
    may_border = np.array([True] * len(words) if borders is None else borders, dtype=bool)
    spans = recurring_spans(word, sentence, may_border, longest=longest)
    return [(" ".join(words[starts[0] : starts[0] + size]), starts.tolist()) for size, starts in spans]


def dull(words, sentences, borders, longest):
    """Long spans first, by first start; a word is in one span."""
    taken, result = set(), []
    for size in range(longest, 0, -1):
        groups = {}
        for at in range(len(words) - size + 1):
            last = at + size - 1
            if sentences[at] == sentences[last] and borders[at] and borders[last]:
                groups.setdefault(tuple(words[at : at + size]), []).append(at)
        for text, starts in sorted(groups.items(), key=lambda item: item[1][0]):
            free = dull_free(starts, size, taken) if len(starts) > 1 else []
            if len({sentences[at] for at in free}) > 1:
                result.append((" ".join(text), free))
                taken |= {place for at in free for place in range(at, at + size)}
    return result


def dull_free(starts, size, taken):
    free, end = [], 0
    for at in starts:
        if at >= end and not taken & set(range(at, at + size)):
            free.append(at)
            end = at + size
    return free


def test_the_longest_span_goes_first_and_shorter_ones_have_the_rest():
    words = ["francisco", "orellana", "came", "x", "francisco", "orellana", "left", "y", "orellana", "z", "orellana"]
    sentences = [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3]
    assert found(words, sentences) == [("francisco orellana", [0, 4]), ("orellana", [8, 10])]


def test_a_span_that_recurs_in_its_own_sentence_only_is_none():
    assert found(["a", "b", "a", "b"], [0, 0, 0, 0]) == []


def test_a_span_does_not_begin_or_end_with_what_may_not_border_one():
    words = ["the", "tower", "of", "x", "the", "tower", "of"]
    borders = [word not in {"the", "of"} for word in words]
    assert found(words, [0, 0, 0, 0, 1, 1, 1], borders) == [("tower", [1, 5])]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.integers(0, 5)), min_size=0, max_size=24),
    st.integers(1, 4),
)
def test_it_finds_what_a_loop_finds(drawn, longest):
    words, borders = [one for one, _, _ in drawn], [border for _, border, _ in drawn]
    sentences = np.cumsum([new == 0 for _, _, new in drawn]).tolist()
    assert found(words, sentences, borders, longest) == dull(words, sentences, borders, longest)
