"""Questions asked of contexts that do not answer them, against a search by hand."""

import re

import numpy as np
import pyarrow as pa
import pytest

from qa.data.unanswerable import ask_elsewhere
from tests.support.rows import answers

LIGHT = "The lighthouse of Skarholm was built in 1871 by Ragna Lund."
KEEPER = "The keeper of the lighthouse, Ragna Lund's brother, built a school."
FERRY = "A ferry to the lighthouse was built in 1902."
OTHER = "Who built a lighthouse in Norway is told elsewhere."


def example(key, question, context, *references, title="Skarholm"):
    return {"id": key, "title": title, "context": context, "question": question, "answers": answers(*references)}


ROWS = [
    example("who", "Who built the lighthouse?", LIGHT, ("Ragna Lund", 48)),
    example("when", "When was the lighthouse built?", LIGHT, ("1871", 40)),
    example("what", "What did the keeper of the lighthouse build?", KEEPER, ("a school", 57)),
    example("never", "Who painted the ferry?", FERRY),
    example("alone", "Where is the lighthouse?", OTHER, ("Norway", 26), title="Norway"),
]


def shared(question, contexts):
    """How many words question and contexts share."""
    words = set(re.findall(r"\w+", question.lower()))
    return np.array([len(words & set(re.findall(r"\w+", context.lower()))) for context in contexts], float)


def asked(rows=ROWS, similarity=shared, **options):
    return ask_elsewhere(pa.Table.from_pylist(rows), similarity, **({"share": 1.0, "seed": 0} | options))


def test_a_question_goes_to_the_most_similar_context_that_does_not_answer_it():
    found = {row["id"]: row["context"] for row in asked().to_pylist()}
    assert found == {
        "who-elsewhere": FERRY,  # the keeper's names Ragna Lund
        "when-elsewhere": FERRY,
        "what-elsewhere": LIGHT,
        "alone-elsewhere": LIGHT,  # its title has no other
    }


def test_nothing_but_id_context_and_references_changes():
    rows = {row["id"]: row for row in ROWS}
    made = asked()
    assert made.schema == pa.Table.from_pylist(ROWS).schema
    for row in made.to_pylist():
        kept = rows[row["id"].removesuffix("-elsewhere")]
        assert {**row, "id": kept["id"], "context": kept["context"], "answers": kept["answers"]} == kept
        assert row["answers"] == {"text": [], "answer_start": []}


@pytest.mark.parametrize(
    ("text", "context"),
    [("the Light", "THE LIGHT stood."), ("café", "A cafe\u0301 stood."), ("三十四米", "高三十四米。")],
)
def test_a_reference_is_found_in_any_case_and_unicode_form_and_without_blanks_around_it(text, context):
    rows = [
        example("what", "What stood there?", f"There: {text}", (text, 7)),
        example("one", "What stood there, and why there?", context, (context[:2], 0)),
        example("two", "What?", "Nothing stood.", ("Nothing", 0)),
    ]
    found = {row["id"]: row["context"] for row in asked(rows, lambda *_: np.array([3.0, 2.0, 1.0])).to_pylist()}
    assert found["what-elsewhere"] == "Nothing stood."


def test_a_question_that_shares_nothing_is_left_out():
    assert asked(similarity=lambda _, contexts: np.zeros(len(contexts))).num_rows == 0


def test_the_draw_is_by_seed_and_id():
    rows = [example(str(at), "Who built the lighthouse?", LIGHT, ("Ragna Lund", 48)) for at in range(200)] + ROWS[2:]
    half = asked(rows, share=0.5)["id"].to_pylist()
    assert 60 < len(half) < 140
    assert set(half) == set(asked(rows[::-1], share=0.5)["id"].to_pylist())
    assert half != asked(rows, share=0.5, seed=1)["id"].to_pylist()
    assert set(half) < set(asked(rows, share=0.9)["id"].to_pylist())
