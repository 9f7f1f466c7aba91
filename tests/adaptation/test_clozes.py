"""Questions made of texts: rows that hold, and what they ask."""

import random

import pytest

from qa.adaptation.clozes import BLANK, cloze_examples, clozes_of, common_words
from qa.adaptation.words import find_words
from qa.errors import DataError

TEXT = (
    "The lighthouse of Skarholm was planned by the engineer Ragna Lund after the storm of 1869. "
    "Work began in spring. "
    "Nobody counted the stones that were carried up the hill. "
    "In later years the engineer Ragna Lund described the lighthouse of Skarholm in a long letter. "
    "It is kept in the museum."
)
FILLERS = [
    f"Chapter {at} tells of the {word} and the {other} of the {word} in the {at} years before."
    for at, (word, other) in enumerate(zip("abcdefgh" * 3, "ijklmnop" * 3, strict=True))
]


def rows(texts=(TEXT, *FILLERS), **options):
    return cloze_examples(list(texts), **({"most": 100, "seed": 1} | options))


def test_answers_stand_at_their_places_and_the_span_once_in_its_context():
    found = rows()
    assert found
    for row in found:
        (text,), (start,) = row["answers"]["text"], row["answers"]["answer_start"]
        assert row["context"][start : start + len(text)] == text
        assert row["context"].count(text) == 1
        assert row["context"] in TEXT
    assert len({row["id"] for row in found}) == len(found)


def test_a_question_is_the_sentence_of_another_occurrence_with_a_blank():
    found = {row["answers"]["text"][0]: row for row in rows()}
    row = next(row for text, row in found.items() if "Ragna Lund" in text)
    assert row["question"].count(BLANK) == 1
    assert "Ragna Lund" not in row["question"]
    sentence = row["question"].replace(BLANK, row["answers"]["text"][0])
    assert sentence.rstrip(".") in TEXT
    assert sentence not in row["context"]


def test_the_same_seed_makes_the_same_questions_and_another_one_others():
    several = [TEXT.replace("Skarholm", name).replace("Lund", name + "sen") for name in ("Aker", "Bergen", "Dale")]
    first, again, other = (rows([*several, *FILLERS], most=4, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert len(first) == 4


def test_texts_without_recurring_spans_are_named():
    with pytest.raises(DataError, match="no span recurs in the 2 texts"):
        rows(["One short text.", "Another one."])


def test_common_words_are_those_of_most_stretches():
    texts = [find_words(text) for text in (TEXT, *FILLERS)]
    assert {"the", "of"} <= common_words(texts)
    assert not {"skarholm", "ragna"} & common_words(texts)


def test_sentences_that_share_nothing_else_make_no_cloze():
    text = find_words(
        "A red barn stood near Skarholm for many years. Children from Skarholm sang loudly at noon today."
    )
    assert list(clozes_of(text, 0, frozenset({"a", "for", "at"}), random.Random(0))) == []


def test_a_long_sentence_is_cut_around_the_blank():
    words = " ".join(f"w{at}" for at in range(25))
    text = (
        f"Here {words} Ragna Lund built Skarholm {words.replace('w', 'v')}.\nLater Ragna Lund left Skarholm w1 w2 w3."
    )
    questions = [row["question"] for row in rows([text, *FILLERS])]
    assert any(len(question.split()) <= 41 and BLANK in question for question in questions)
    assert all(len(question.split()) <= 41 for question in questions)


def test_chinese_texts_make_questions():
    text = (
        "斯卡霍姆灯塔由工程师拉格纳隆德在风暴后设计。\n工作从春天开始。\n后来工程师拉格纳隆德在信中描写斯卡霍姆灯塔。"
    )
    found = rows([text], most=20)
    assert found
    for row in found:
        (answer,), (start,) = row["answers"]["text"], row["answers"]["answer_start"]
        assert row["context"][start : start + len(answer)] == answer
