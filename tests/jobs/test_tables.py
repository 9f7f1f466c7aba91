"""Tables and the columns that are added to them."""

import pyarrow as pa
import pytest

from qa.errors import ConfigError, DataError
from qa.jobs.tables import answer_schema, answered_table, require_free
from tests.support.predictors import pairs

ROWS = [row | {"id": f"q{at}", "meta": {"n": at, "tags": ["a", None]}} for at, row in enumerate(pairs(4))]


def broken_text(*texts):
    """Texts of which Arrow does not know that they are not UTF-8."""
    return pa.array(texts, pa.binary()).view(pa.string())


def test_all_columns_are_carried_over_and_the_types_are_fixed(answering):
    table = pa.Table.from_pylist(ROWS)
    found = answered_table(table, answering)
    assert found.select(table.column_names) == table
    assert found.schema == pa.schema([*table.schema, *answer_schema()])
    assert found["answer"].to_pylist() == [one["answer"] for one in answering.told(ROWS)]
    assert found["error"].null_count == 4
    none = answered_table(table.slice(0, 0), answering)
    assert none.schema == found.schema


def test_only_some_columns_are_carried_over(answering):
    found = answered_table(pa.Table.from_pylist(ROWS), answering, ["id"])
    assert found.column_names == ["id", *answer_schema().names]


@pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())])
def test_texts_may_be_of_any_type_of_text(answering, kind):
    table = pa.Table.from_pylist(ROWS)
    other = table.set_column(table.column_names.index("context"), "context", table["context"].cast(kind))
    assert answered_table(other, answering).select(answer_schema().names) == answered_table(table, answering).select(
        answer_schema().names
    )


def test_what_is_no_text_is_an_error_of_its_row(answering):
    table = pa.table({"question": ["Who?", None, "Who?"], "context": broken_text(b"It is Ada.", b"b", b"\xff\xfe")})
    errors = answered_table(table, answering)["error"].to_pylist()
    assert errors == [None, "question is None; wanted text", "context is b'\\xff\\xfe'; wanted text"]
    numbers = pa.table({"question": ["Who?"], "context": [3]})
    assert answered_table(numbers, answering)["error"].to_pylist() == ["context is 3; wanted text"]


def test_columns_that_are_all_null_are_carried_over(answering):
    table = pa.Table.from_pylist(ROWS).append_column("note", pa.nulls(4))
    assert answered_table(table, answering)["note"].type == pa.null()


def test_texts_are_found_under_other_names(answering):
    table = pa.Table.from_pylist(ROWS).rename_columns({"question": "Query", "context": "passage_text"})
    assert answered_table(table, answering)["error"].null_count == 4
    with pytest.raises(DataError, match=r"no column context; found \['question', 'body'\]"):
        answered_table(pa.table({"question": ["q"], "body": ["b"]}), answering)


def test_names_that_are_taken_are_refused(answering):
    table = pa.Table.from_pylist(ROWS).append_column("score", pa.array([1] * 4))
    with pytest.raises(ConfigError, match="found the columns score, which answers are written to"):
        answered_table(table, answering)
    assert answered_table(table, answering, ["id"]).num_rows == 4
    require_free(["answers"], 1)
    with pytest.raises(ConfigError, match="answers"):
        require_free(["answers"], 2)


def test_several_answers_have_a_column():
    assert "answers" not in answer_schema(1).names
    assert answer_schema(2).field("answers").type.value_type.field("answer").type == pa.string()
