"""Each id once, and made where there are none."""

import pytest

from qa.errors import ExampleError
from tests.support.rows import CONTEXT, LUND, METRES, TALL, WHO, loaded, references, row, told
from tests.support.squad_rows import TWO, flat, paragraph, qa, squad


@pytest.mark.parametrize("policy", ["error", "skip", "repair"])
@pytest.mark.parametrize("shape", ["nested", "flat", "blank"])
def test_ids_are_made_where_no_row_has_one_and_that_is_said(tmp_path, shape, policy):
    questions = (qa(None, WHO, LUND), qa(None, TALL, METRES))
    rows = [{**question, "context": CONTEXT} for question in questions]
    content = {"nested": squad(paragraph(*questions)), "flat": rows, "blank": [row | {"id": " "} for row in rows]}[
        shape
    ]
    examples = loaded(tmp_path, content, policy)
    assert list(references(examples).values()) == [[LUND], [METRES]]
    assert len(set(examples.rows["id"])) == 2
    assert examples.problems == ()
    assert examples.notes == ("2 rows have no id: theirs are hashes of question and context",)
    other = loaded(tmp_path, [rows[1], rows[0]], policy)
    assert other.rows["id"][:] == examples.rows["id"][:][::-1]


def test_made_ids_differ_where_question_and_context_are_the_same(tmp_path):
    rows = [{"question": WHO, "context": CONTEXT, "answers": []}] * 3
    ids = loaded(tmp_path, rows).rows["id"][:]
    assert [example_id[24:] for example_id in ids] == ["", "-2", "-3"]


def test_a_second_row_of_an_id_gets_a_suffix_where_repair_is_wanted(tmp_path):
    document = squad(paragraph(TWO[0], TWO[1] | {"id": "a1"}, qa("a1-2", WHO, LUND)))
    examples = loaded(tmp_path, document, "repair")
    assert references(examples) == {"a1": [LUND], "a1-2": [METRES], "a1-2-2": [LUND]}
    assert [(problem.kind, problem.done) for problem in examples.problems] == [
        ("duplicate id", "now 'a1-2'"),
        ("duplicate id", "now 'a1-2-2'"),
    ]
    assert told(loaded(tmp_path, document, "skip")) == [("duplicate id", "skipped")]


def test_a_row_without_an_id_beside_others_is_bad_or_gets_one(tmp_path):
    rows = [flat("a1", WHO, []), {"question": TALL, "context": CONTEXT, "answers": []}]
    with pytest.raises(ExampleError, match="row 1, id '': no id: found none; wanted an id, as other rows have"):
        loaded(tmp_path, rows)
    assert list(references(loaded(tmp_path, rows, "skip"))) == ["a1"]
    repaired = loaded(tmp_path, rows, "repair")
    assert len(repaired) == 2
    assert told(repaired) == [("no id", "repaired")]


def test_integer_ids_become_strings(tmp_path):
    assert loaded(tmp_path, [row(id=7), row(id=-1)]).rows["id"][:] == ["7", "-1"]


def test_an_id_is_free_again_when_its_row_was_skipped(tmp_path):
    examples = loaded(tmp_path, [row(0, text="dog"), row(0), row(0)], "skip")
    assert examples.rows["id"][:] == ["q0"]
    assert [(p.row, p.kind, p.found) for p in examples.problems] == [
        (0, "answer not at its offset", "'cat'"),
        (2, "duplicate id", "the id of row 1"),
    ]
