"""Questions asked of contexts that do not answer them, against a search by hand."""

import itertools
import re

import numpy as np
import pyarrow as pa
import pytest

from qa.data.unanswerable import ask_elsewhere, draw_answerable
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


def asked(rows=ROWS, similarity=shared, *, share=1.0, seed=0):
    table = pa.Table.from_pylist(rows)
    return ask_elsewhere(table, draw_answerable(table, share, seed=seed), similarity)


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


def test_a_question_that_a_context_answers_is_not_asked_of_it():
    """Forms and contracts are asked the same questions, with other answers."""
    rows = [
        example(str(at), "Who built the lighthouse?", f"{who} built the lighthouse.", (who, 0))
        for at, who in enumerate(("Anna", "Bert", "Carl"))
    ]
    assert asked(rows).num_rows == 0
    assert (
        asked([*rows, example("other", "Where?", "A lighthouse stood here.", ("here", 19))])["context"].to_pylist()
        == ["A lighthouse stood here."] * 3
    )


def test_rows_keep_their_order_and_the_same_contexts_come_in_a_row():
    rows = [
        example(f"{title}-{at}", f"Who built house {at}?", f"{title} built house {at} there.", (title, 0), title=title)
        for at in range(4)
        for title in ("Anna", "Bert", "Carl")
    ] + [example("alone", "Who built what there?", "Dora built.", ("Dora", 0), title="Dora")]
    seen = []

    def similarity(question, contexts):
        seen.append(contexts)
        return shared(question, contexts)

    rows[0]["answers"] = answers(("house 0", 11))  # so that other contexts of Anna's do
    ids = asked(rows, similarity)["id"].to_pylist()
    assert ids == [one for one in (f"{row['id']}-elsewhere" for row in rows) if one in ids]
    assert ids == asked(rows[::-1])["id"].to_pylist()[::-1]
    assert sum(one != other for one, other in itertools.pairwise(seen)) == 3


def test_what_is_made_is_what_a_search_by_hand_makes():
    random = np.random.default_rng(0)
    words = [f"w{at}" for at in range(30)]
    rows = []
    for at in range(60):
        context = " ".join(random.choice(words, 8))
        question = " ".join(random.choice(words, 4))
        rows.append(example(str(at), question, context, (context.split()[0], 0), title=f"t{at % 7}"))
    made = {row["id"].removesuffix("-elsewhere"): row["context"] for row in asked(rows).to_pylist()}
    for row in rows:
        reference = row["answers"]["text"][0]
        others = [
            one["context"]
            for one in rows
            if one["title"] == row["title"]
            and one["question"] != row["question"]
            and reference not in one["context"]
            and one["context"] != row["context"]
        ]
        scores = shared(row["question"], others)
        if others and scores.max() > 0:
            assert shared(row["question"], [made[row["id"]]])[0] == scores.max()
            assert made[row["id"]] in others
        else:
            assert row["id"] not in made
