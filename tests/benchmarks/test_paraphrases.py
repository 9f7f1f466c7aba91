"""Claims made of questions, and how they are counted."""

import numpy as np

from tests.benchmarks.paraphrases import Claim, area, claimed_of, claims_of, drawn, in_place, shares
from tests.support.rows import CONTEXT, LUND, WHO, answers, row

BUILDER = {"context": CONTEXT, "question": "Who built the lighthouse of Skarholm?", "answers": answers(LUND)}


def test_a_right_claim_and_a_wrong_one_are_made_of_a_question():
    rows = [row(0, **BUILDER), row(1, context=CONTEXT, text="Skarholm", start=18, question="Where is it?")]
    right, wrong = claims_of([rows[0] | {"question": "Who built the lighthouse in 1871?"}, rows[1]])
    assert right == ("Ragna Lund built the lighthouse in 1871.", CONTEXT, "Ragna Lund")
    assert wrong == ("Skarholm built the lighthouse in 1871.", CONTEXT, None)


def test_no_claim_is_made_where_no_other_name_or_no_order_of_words_would_do():
    tall = row(1, context=CONTEXT, text="34 metres", start=66, question="How tall is it?")
    assert not list(claims_of([row(0, **BUILDER), tall]))
    for question in ("Who was Ragna Lund?", "Who built?", "How tall is it now?"):
        assert claimed_of(question) is None
    assert claimed_of(WHO) == "built the lighthouse"


def test_pairs_stay_together():
    claims = drawn(iter(range(40)), 10)
    assert len(claims) == 10
    assert all(one % 2 == 0 and other == one + 1 for one, other in zip(claims[::2], claims[1::2], strict=True))


def test_the_area_counts_equal_scores_as_half():
    right = np.array([True, True, False, False])
    assert area(np.array([0.9, 0.4, 0.4, 0.1]), right) == (1 + 1 + 0.5 + 1) / 4


def test_shares_are_of_right_and_of_wrong_claims():
    told, right, placed = (np.array(one, bool) for one in ([1, 1, 0, 1], [1, 1, 1, 0], [1, 0, 1, 0]))
    assert shares(told, right, placed) == (2 / 3, 1 / 3, 1.0)


def test_a_place_is_right_where_it_holds_the_reference_or_a_part_of_it():
    claim = Claim("Ragna Lund built it.", CONTEXT, "Ragna Lund")
    assert in_place(claim, "by Ragna Lund")
    assert in_place(claim, "Lund")
    assert not in_place(claim, "1871")
    assert not in_place(claim, "")
    assert not in_place(claim._replace(reference=None), "Ragna Lund")
