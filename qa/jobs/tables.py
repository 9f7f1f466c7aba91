"""Arrow tables -> the same rows with answers beside them, in columns of fixed types."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from qa.data.columns import TextColumns, text_columns
from qa.errors import ConfigError
from qa.inference.inputs import Row
from qa.jobs.answering import Answering

_ANSWER = {
    "score": pa.float64(),
    "start": pa.int64(),
    "end": pa.int64(),
    "answer": pa.string(),
    "no_answer_score": pa.float64(),
    "place_score": pa.float64(),
}


def answer_schema(top_k: int = 1) -> pa.Schema:
    """Return the columns that answers are written to: all null, but for `error`, where a row is not answered.

    "No answer" is the empty text. Of several answers all are listed under `answers`.
    """
    own = _ANSWER | {"best_span": pa.string(), "null_odds": pa.float64()}
    listed = {"answers": pa.list_(pa.struct(list(_ANSWER.items())))} if top_k > 1 else {}
    return pa.schema(list((own | listed | {"error": pa.string()}).items()))


def require_free(names: Sequence[str], top_k: int) -> None:
    """Check that no column of the data has the name of a column that answers are written to.

    Raises:
        ConfigError: some have.

    """
    taken = [name for name in answer_schema(top_k).names if name in names]
    if taken:
        raise ConfigError(
            f"found the columns {', '.join(taken)}, which answers are written to; wanted other names, or only some "
            "columns kept"
        )


def answered_table(table: pa.Table, answering: Answering, kept: Sequence[str] | None = None) -> pa.Table:
    """Return the rows of a table with their answers, or what is wrong with them.

    Args:
        table: with columns of questions and contexts, under any of the names that data sets have for these.
        answering: the reader.
        kept: columns that are carried over; None: all.

    Raises:
        ConfigError: a column has the name of one that answers are written to.
        DataError: no column of questions or contexts.

    """
    carried = table if kept is None else table.select(list(kept))
    top_k = answering.options.top_k
    require_free(carried.column_names, top_k)
    told = answering.told(text_rows(table, text_columns(table.column_names)))
    answers = pa.Table.from_pylist(told, schema=answer_schema(top_k))
    for field in answers.schema:
        carried = carried.append_column(field, answers[field.name])
    return carried


def text_rows(table: pa.Table, columns: TextColumns) -> list[Row]:
    """Return questions and contexts, row by row; what is no text is left for whoever checks them."""
    values = {name: _values(table[name]) for name in {*columns.question, *columns.context}}
    rows = (dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True))
    return [columns.read(row) for row in rows]


def _values(column: pa.ChunkedArray) -> list[Any]:
    """Return a column's values; texts that are not UTF-8, which no Arrow program checks, as their bytes."""
    try:
        return column.to_pylist()  # type: ignore[no-any-return]
    except UnicodeDecodeError:
        found = column.cast(pa.large_binary()).to_pylist()
    return [_text_or_bytes(value) for value in found]


def _text_or_bytes(value: bytes | None) -> str | bytes | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return value
