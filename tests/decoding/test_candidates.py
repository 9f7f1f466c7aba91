"""Candidates in columns against loops over lists."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa.decoding.candidates import Candidates, disjoint_rows

TEXT = "ab c d"
LOGIT = st.sampled_from([-np.inf, -1.0, -0.0, 0.0, 0.5, 1.0]) | st.floats(-20, 20, width=32)
PLACE = st.tuples(st.integers(0, 5), st.integers(1, 6)).map(lambda two: (min(two), max(two) + (two[0] == two[1])))
ROW = st.tuples(st.integers(0, 2), PLACE, LOGIT, LOGIT).map(lambda row: (row[0], *row[1], *row[2:]))


def columns(rows):
    """Candidates of (example, start, end, start logit, end logit)."""
    example, start, end, first, last = np.array(rows, dtype=np.float64).reshape(-1, 5).T
    places = zip(start.astype(int), end.astype(int), strict=True)
    return Candidates(
        example=example.astype(np.int64),
        start=start.astype(np.int64),
        end=end.astype(np.int64),
        text=np.array([TEXT[begin:stop] for begin, stop in places], dtype=object),
        start_logit=first.astype(np.float32),
        end_logit=last.astype(np.float32),
    )


def rows_of(candidates):
    places = zip(candidates.example, candidates.start, candidates.end, candidates.score, strict=True)
    return [(int(example), int(start), int(end), float(score)) for example, start, end, score in places]


@given(st.lists(ROW, max_size=12))
def test_they_are_ranked_by_example_score_and_place(rows):
    found = columns(rows)
    wanted = sorted(rows_of(found), key=lambda row: (row[0], -row[3], row[1], row[2]))
    assert rows_of(found.ranked()) == wanted


@given(st.lists(ROW, max_size=12))
def test_of_the_same_characters_the_best_is_kept(rows):
    ranked = columns(rows).ranked()
    wanted, known = [], set()
    for row in rows_of(ranked):
        if row[:3] not in known:
            wanted.append(row)
        known.add(row[:3])
    assert rows_of(ranked.merged()) == wanted


@given(st.lists(ROW, max_size=12))
def test_white_space_is_cut_off_and_what_is_blank_dropped(rows):
    found = columns(rows)
    wanted = []
    for example, start, end, score in rows_of(found):
        kept = [at for at in range(start, end) if not TEXT[at].isspace()]
        if kept:
            wanted.append((example, kept[0], kept[-1] + 1, score))
    trimmed = found.trimmed()
    assert rows_of(trimmed) == wanted
    assert trimmed.text.tolist() == [TEXT[start:end] for _, start, end, _ in wanted]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("\u200bAda\u200f", "Ada"),  # a space without width, a sign of direction
        ("\ufeff Ada\u00ad\n", "Ada"),
        ("Ada\u200bLund", "Ada\u200bLund"),
        ("نمی\u200c", "نمی\u200c"),  # a joiner is of the letter before it
        (" \u200e", None),
    ],
)
def test_what_nobody_sees_is_cut_off(text, seen):
    found = columns([(0, 0, len(text), 1.0, 1.0)])._replace(text=np.array([text], dtype=object)).trimmed()
    assert found.text.tolist() == ([] if seen is None else [seen])
    assert [text[start:end] for start, end in zip(found.start, found.end, strict=True)] == found.text.tolist()


@given(st.lists(ROW, max_size=12), st.integers(1, 4), st.lists(LOGIT, min_size=3, max_size=3))
def test_the_null_score_takes_a_place_among_the_best_and_the_first_stays(rows, n_best, null):
    ranked, null = columns(rows).ranked(), np.array(null, dtype=np.float32)
    wanted, counts = [], {}
    for example, _, _, score in rows_of(ranked):
        before = counts.get(example, 0)
        wanted.append(before == 0 or before + (null[example] > score) < n_best)
        counts[example] = before + 1
    assert ranked.among_best(n_best, null).tolist() == wanted


SPANS = st.lists(
    st.tuples(st.integers(0, 20), st.integers(1, 6)).map(lambda one: (one[0], one[0] + one[1])), max_size=9
)


def plain_disjoint(spans):
    kept = []
    for row, (start, end) in enumerate(spans):
        taken = {place for other in kept for place in range(*spans[other])}
        if not taken & set(range(start, end)):
            kept.append(row)
    return kept


@given(SPANS, st.one_of(st.none(), st.integers(0, 4)))
def test_disjoint_candidates_equal_the_loop_over_characters(spans, most):
    starts, ends = [start for start, _ in spans], [end for _, end in spans]
    assert disjoint_rows(range(len(spans)), starts, ends, most=most) == plain_disjoint(spans)[:most]
