"""The answer that overlaps most with all candidates, against a loop over pairs."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa.decoding.choice import expected_overlap, with_most_overlapping_first
from tests.support.scored import predictions, softmax

SPAN = st.tuples(st.integers(0, 9), st.integers(1, 6))
EXAMPLE = st.lists(st.tuples(SPAN, st.floats(-8, 8, width=32), st.booleans()), max_size=6)


def made_of(examples):
    """Predictions of examples, each a list of ((start, length), score, counted)."""
    ranked = [sorted(rows, key=lambda row: -row[1]) for rows in examples]
    rows = [row for example in ranked for row in example]
    made = predictions([[row[1] for row in example] for example in ranked], [0.5] * len(ranked))
    return dataclasses.replace(
        made,
        start=np.array([start for (start, _), _, _ in rows], dtype=np.int64),
        end=np.array([start + length for (start, length), _, _ in rows], dtype=np.int64),
        counted=np.array([counted for _, _, counted in rows], dtype=bool),
    )


def plain_overlap(one, other):
    """F1 of two sets of characters."""
    first, second = set(range(*one)), set(range(*other))
    return 2 * len(first & second) / (len(first) + len(second))


def plain_expected(made, row):
    rows = range(*made.bounds[made.example[row] :][:2])
    counted = [at for at in rows if made.counted[at]]
    if not made.counted[row]:
        return -1.0
    shares = softmax([float(made.start_logit[at] + made.end_logit[at]) for at in counted])
    place = made.start[row], made.end[row]
    overlaps = (plain_overlap(place, (made.start[at], made.end[at])) for at in counted)
    return sum(share * overlap for share, overlap in zip(shares, overlaps, strict=True))


@given(st.lists(EXAMPLE, min_size=1, max_size=4))
def test_expected_overlaps_are_those_of_a_loop_over_pairs(examples):
    made = made_of(examples)
    wanted = [plain_expected(made, row) for row in range(len(made.start))]
    np.testing.assert_allclose(expected_overlap(made), wanted, rtol=1e-9, atol=1e-12)


@given(st.lists(EXAMPLE, min_size=1, max_size=4))
def test_the_best_comes_first_and_the_others_stay_in_their_order(examples):
    made = made_of(examples)
    moved, expected = with_most_overlapping_first(made), expected_overlap(made)
    for at in range(len(made)):
        before = list(range(*made.bounds[at : at + 2]))
        if before:
            first = max(before, key=lambda row: (expected[row], -row))
            before = [first, *(row for row in before if row != first)]
        after = slice(*moved.bounds[at : at + 2])
        assert moved.start[after].tolist() == made.start[before].tolist()
        assert moved.probability[after].tolist() == made.probability[before].tolist()
        assert moved.text[after] == [made.text[row] for row in before]
    np.testing.assert_array_equal(moved.null_odds, made.null_odds)


def test_what_likely_ones_agree_about_wins_over_the_likeliest():
    made = made_of([[((0, 30), 1.0, True), ((20, 10), 0.9, True), ((20, 8), 0.8, True)]])
    moved = with_most_overlapping_first(made)
    assert moved.start[0] == 20
    assert moved.null_odds == pytest.approx([0.5 - 1.0])
    assert sorted(moved.probability.tolist()) == sorted(made.probability.tolist())


def test_no_answer_comes_after_all_that_stand_against_it_though_the_chosen_does_not():
    rows = [((0, 30), 1.0, True), ((20, 10), 0.9, True), ((20, 8), 0.8, True)]
    made = dataclasses.replace(with_most_overlapping_first(made_of([rows])), text=["chosen", "likeliest", "third"])
    for null, wanted in (
        (0.95, ["chosen", "likeliest", "", "third"]),
        (0.85, ["chosen", "likeliest", "", "third"]),
        (1.5, ["", "chosen", "likeliest", "third"]),
        (0.1, ["chosen", "likeliest", "third", ""]),
    ):
        against = dataclasses.replace(made, null_logits=np.array([[null, 0.0]], dtype=np.float32))
        assert [record["text"] for record in against.n_best()["q0"]] == wanted
        assert (against.texts(0.0) == [""]) == (wanted[0] == "")


def test_examples_without_candidates_lie_between_others():
    made = made_of([[], [((0, 3), 1.0, True)], [], [((2, 3), 0.5, True), ((1, 4), 0.25, True)], []])
    moved = with_most_overlapping_first(made)
    assert moved.null_odds[[1, 3]] == pytest.approx([-0.5, 0.0])
    assert (moved.null_odds[[0, 2, 4]] > 1e300).all()


def test_candidates_that_share_nothing_stay_as_they_are():
    made = made_of([[((0, 3), 1.0, True), ((5, 3), 0.9, True)]])
    assert with_most_overlapping_first(made).start.tolist() == [0, 5]


def test_pairs_are_compared_in_blocks_as_in_one(monkeypatch):
    random = np.random.default_rng(0)
    rows = [
        [((int(random.integers(0, 40)), int(random.integers(1, 20))), float(random.normal()), True) for _ in range(7)]
        for _ in range(5)
    ]
    whole = expected_overlap(made_of(rows))
    monkeypatch.setattr("qa.decoding.choice._PAIRS_AT_ONCE", 15)
    np.testing.assert_allclose(expected_overlap(made_of(rows)), whole, rtol=1e-12)
