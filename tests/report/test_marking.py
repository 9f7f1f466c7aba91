"""Texts with marks that overlap."""

from hypothesis import given, settings
from hypothesis import strategies as st

from qa.report.marking import around, bracketed, marked_part, stretches

TEXT = "built by Ragna Lund in 1871"


def test_overlapping_marks_share_a_stretch():
    assert list(stretches(TEXT, {"answer": [(6, 14)], "reference": [(9, 19)]})) == [
        ("built ", ()),
        ("by ", ("answer",)),
        ("Ragna", ("answer", "reference")),
        (" Lund", ("reference",)),
        (" in 1871", ()),
    ]


def test_marks_of_one_name_that_touch_are_one():
    assert list(stretches(TEXT, {"reference": [(9, 14), (14, 19), (11, 16)]}))[1] == ("Ragna Lund", ("reference",))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 26), st.integers(1, 9)), max_size=4), st.integers(0, 4))
def test_every_character_has_the_names_of_the_marks_that_hold_it(spans, answers):
    places = [(start, min(start + length, len(TEXT))) for start, length in spans]
    marks = {"answer": places[:answers], "reference": places[answers:]}
    found = [(character, names) for text, names in stretches(TEXT, marks) for character in text]
    wanted = [
        (character, tuple(name for name, held in marks.items() if any(a <= at < b for a, b in held)))
        for at, character in enumerate(TEXT)
    ]
    assert found == wanted


def test_brackets_tell_answers_and_references():
    parts = marked_part(TEXT, [(6, 14)], [(9, 19)], characters=100)
    assert bracketed(parts) == "built >>>by <<<>>>[[[Ragna]]]<<<[[[ Lund]]] in 1871"
    assert bracketed(marked_part(TEXT, [], [], characters=100)) == TEXT


def test_a_long_text_is_cut_around_what_is_marked():
    assert around(1000, [(500, 510), (600, 610)], characters=20) == (480, 630)
    assert around(1000, [(5, 10)], characters=20) == (0, 30)
    assert around(1000, [], characters=20) == (0, 20)
    assert bracketed(marked_part(TEXT, [(9, 14)], [], characters=3)) == "…by >>>Ragna<<< Lu…"
