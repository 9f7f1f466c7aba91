"""All rows of a source -> tables of examples: what only the whole source tells."""

import pytest

from qa.errors import DataError, ExampleError
from tests.support.rows import CONTEXT, TALL, WHO, loaded, references, row, told, without
from tests.support.squad_rows import flat


def test_problems_are_in_the_order_of_rows_over_chunk_borders(tmp_path):
    rows = [row(number) for number in range(2500)]
    rows[7]["answers"] = rows[1007]["answers"] = None
    rows[1003]["context"] = rows[2003]["context"] = ""
    examples = loaded(tmp_path, rows, "skip")
    assert [problem.row for problem in examples.problems] == [7, 1003, 1007, 2003]
    assert len(examples) == 2496
    assert examples.has_references
    assert examples.rows[7]["id"] == "q8"


def test_answers_that_first_come_late_still_make_references(tmp_path):
    rows = [row(number, answers=None) for number in range(1500)] + [row(1500)]
    assert loaded(tmp_path, rows, "skip").rows["id"][:] == ["q1500"]


def test_ids_that_first_come_late_are_still_wanted_of_all(tmp_path):
    rows = [without("id") for _ in range(1500)] + [row(1500)]
    examples = loaded(tmp_path, rows, "skip")
    assert examples.rows["id"][:] == ["q1500"]
    assert len(examples.problems) == 1500


def test_answers_that_are_all_bad_do_not_turn_into_no_references(tmp_path):
    with pytest.raises(ExampleError, match="no good example is left"):
        loaded(tmp_path, [row(0, text="dog"), without("answers") | {"id": "q1"}], "skip")


@pytest.mark.parametrize("column", ["context", "question"])
def test_a_column_that_no_row_has_is_named(tmp_path, column):
    for rows in ([without(column)] * 2, [row(**{column: None})] * 2):
        with pytest.raises(DataError, match=rf"no column {column}; found \[.*\]; wanted id, context, question"):
            loaded(tmp_path, rows, "skip")


def test_no_rows_is_an_error(tmp_path):
    for document in ([], {"data": []}, {"data": [{"title": "t", "paragraphs": []}]}):
        with pytest.raises(DataError, match="no rows"):
            loaded(tmp_path, document)


def test_no_annotation_at_all_is_not_the_same_as_no_answer(tmp_path):
    """Under repair too: what nobody has answered teaches nothing."""
    rows = [flat("1", WHO, []), {"id": "2", "question": TALL, "context": CONTEXT}]
    examples = loaded(tmp_path, rows, "repair")
    assert list(references(examples)) == ["1"]
    assert told(examples) == [("no answers", "skipped")]
