"""What is wrong with answers, and which are chosen to be looked at."""

import numpy as np
import pytest

from qa.evaluation.mistakes import MISTAKES, Given, choose, given_by, judge
from tests.support import tiny
from tests.support.tracking import PREDICTIONS

CONTEXT = "The lighthouse of Skarholm was built in 1871 by Ragna Lund. Ragna Lund lived there."


def judged(text, start, *references, language="en"):
    row = tiny.example("Who?", CONTEXT, *references, id="q")
    place = None if start is None else (start, start + len(text))
    given = Given(text=text, place=place, probability=0.5)
    return judge([row], {"q": given}, language=language)[0]


@pytest.mark.parametrize(
    ("text", "start", "references", "mistake"),
    [
        ("Ragna Lund", 48, ["Ragna Lund"], None),
        ("Ragna Lund", 60, ["Ragna Lund"], None),  # the text counts, not the place
        ("the lighthouse", 0, ["lighthouse"], None),  # an article does not count
        ("", None, [], None),
        ("", None, ["Ragna Lund"], "missed"),
        ("Skarholm", 18, [], "invented"),
        ("by Ragna Lund", 45, ["Ragna Lund"], "boundary"),
        ("1871", 40, ["Ragna Lund"], "elsewhere"),
        ("Lund lived", 66, ["Ragna Lund"], "elsewhere"),  # shares a word, at another place
        ("Lund lived", 66, ["1871", ("Ragna Lund", 60)], "boundary"),  # any reference
        ("built in", 31, [("in 1871", 37)], "boundary"),
        ("built in", 31, [("1871 by", 40)], "elsewhere"),  # neighbours do not overlap
    ],
)
def test_kinds_of_mistakes(text, start, references, mistake):
    assert judged(text, start, *references).mistake == mistake


def test_references_without_a_place_are_compared_by_their_words():
    assert judged("Lund lived", 66, ("Ragna Lund of Skarholm", -1)).mistake == "boundary"
    assert judged("1871", 40, ("Ragna Lund of Skarholm", -1)).mistake == "elsewhere"


def test_scores_are_the_official_ones_of_the_language():
    found = judged("by Ragna Lund", 45, "Ragna Lund")
    assert (found.exact, round(found.f1, 3)) == (0.0, 0.8)
    assert judged("der 1871", 40, "1871", language="de").mistake is None
    assert judged("der 1871", 40, "1871").mistake == "boundary"


def test_references_are_named_once():
    found = judged("1871", 40, "Ragna Lund", ("Ragna Lund", 60), ("Ragna Lund", 48))
    assert found.references == ("Ragna Lund",)
    assert found.reference_places == [(48, 58), (60, 70)]


def test_answers_of_predictions_have_the_best_span_or_none():
    given = given_by(PREDICTIONS, 0.0)
    assert given["q0"] == Given(text="0", place=(26, 27), probability=0.5)
    assert given["q1"] == Given(text="", place=None, probability=0.25)  # its null odds are 3
    assert given["q2"] == Given(text="", place=None, probability=1.0)  # no valid span
    assert given_by(PREDICTIONS, 5.0)["q1"] == Given(text="7", place=(26, 27), probability=0.75)


# --- choosing ---

IDS = [f"q{at}" for at in range(400)]


def kinds(**counts):
    """So many of each kind, the rest right."""
    listed = [kind for kind, count in counts.items() for _ in range(count)]
    return [*listed, *[None] * (len(IDS) - len(listed))]


def chosen_kinds(found, most, **options):
    chosen = choose(IDS, found, most, **options)
    assert chosen == sorted(set(chosen))
    return {kind: sum(found[row] == kind for row in chosen) for kind in (*MISTAKES, None)}


def test_mistakes_of_all_kinds_are_chosen_and_a_quarter_of_right_answers():
    found = kinds(missed=100, invented=2, boundary=100, elsewhere=50)
    assert chosen_kinds(found, 40) == {"missed": 10, "invented": 2, "boundary": 9, "elsewhere": 9, None: 10}


def test_what_one_side_lacks_the_other_has():
    assert chosen_kinds(kinds(missed=3), 40)[None] == 37
    assert chosen_kinds(kinds(missed=398), 40) == {"missed": 38, "invented": 0, "boundary": 0, "elsewhere": 0, None: 2}
    assert sum(chosen_kinds(kinds(missed=10), 1000).values()) == len(IDS)
    assert chosen_kinds(kinds(missed=10, boundary=9), 6, right_share=0.0)[None] == 0
    assert choose(IDS, kinds(), 0) == []


def test_an_evaluation_with_the_same_mistakes_shows_the_same_examples():
    found = kinds(missed=100, boundary=100)
    other = list(found)
    other[5] = None  # one answer has become right
    shown, later = set(choose(IDS, found, 40)), set(choose(IDS, other, 40))
    assert len(shown & later) >= 38
    backwards = np.arange(len(IDS))[::-1]
    turned = choose([IDS[row] for row in backwards], [found[row] for row in backwards], 40)
    assert {IDS[backwards[row]] for row in turned} == {IDS[row] for row in shown}
