"""Every example is in the groups that a reader of it would name."""

import numpy as np

from qa.evaluation.slices import slices
from tests.support import tiny

ROWS = [
    tiny.example("Who built it?", "It was built by Ada Lund. " + "x" * 600, "Ada Lund"),
    tiny.example("In what year, and how much later?", "It was built in 1871.", "1871", "in 1871"),
    tiny.example("By whom?", "Nobody.", "Nobody", "Nobody."),
    tiny.example("Name the architect.", "It was built long ago."),
    tiny.example("How many were there?", "y" * 1000 + " There were 40", "40"),
]


def named(found, row):
    return {name for name, members in found.items() if members[row]}


def test_groups_of_examples():
    found = slices(ROWS)
    assert [named(found, row) for row in range(len(ROWS))] == [
        {
            "question word: who",
            "words of the answer: 2",
            "characters of the context: 500–999",
            "place of the answer: first third",
            "answerable: yes",
        },
        {
            "question word: what",
            "words of the answer: 1",
            "characters of the context: under 500",
            "place of the answer: last third",
            "references: different",
            "answerable: yes",
        },
        {
            "question word: who",
            "words of the answer: 1",
            "characters of the context: under 500",
            "place of the answer: first third",
            "references: all alike",
            "answerable: yes",
        },
        {"question word: other", "characters of the context: under 500", "answerable: no"},
        {
            "question word: how many",
            "words of the answer: 1",
            "characters of the context: 1,000–1,999",
            "place of the answer: last third",
            "answerable: yes",
        },
    ]


def test_an_example_is_in_one_group_of_a_kind_and_of_some_kinds_in_each():
    rows = [*tiny.sample_rows("validation"), *ROWS]
    found = slices(rows)
    kinds = {name.split(": ")[0] for name in found}
    for kind in kinds:
        members = np.sum([flags for name, flags in found.items() if name.startswith(kind)], axis=0)
        assert members.max() == 1
        if kind in {"question word", "characters of the context", "answerable"}:
            assert members.min() == 1


def test_words_are_those_of_the_language_and_question_words_english():
    rows = [tiny.example("谁?", "由北京大学建造", "北京大学")]
    assert set(slices(rows, language="zh")) == {
        "words of the answer: 3–4",
        "characters of the context: under 500",
        "place of the answer: first third",
        "answerable: yes",
    }
    assert "words of the answer: 1" in slices(rows)
    assert all("question word: who" in slices([ROWS[0]], language=code) for code in ("en-US", "EN", "eng"))


def test_groups_are_in_a_fixed_order():
    names = list(slices([ROWS[4], ROWS[0], ROWS[1]]))
    assert names[:3] == ["question word: who", "question word: what", "question word: how many"]
