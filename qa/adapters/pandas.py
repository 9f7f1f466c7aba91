"""pandas: the answers to a frame's questions, as columns beside them."""

from typing import Any, Unpack, cast

import pandas as pd

from qa.errors import DataError
from qa.inference.options import CallOptions, one_answer
from qa.inference.predictor import predictor_of

_COLUMNS = {"answer": "str", "score": "float64", "start": "int64", "end": "int64", "no_answer_score": "float64"}
"""Columns of the answers, with their types."""


def answer_frame(
    frame: pd.DataFrame,
    predictor: object,
    *,
    question: str = "question",
    context: str = "context",
    **given: Unpack[CallOptions],
) -> pd.DataFrame:
    """Answer the question of every row from its context.

    Args:
        frame: with both columns.
        predictor: the reader, or a pipeline of it.
        question: name of the column of questions.
        context: name of the column of contexts.
        given: see `CallOptions`; one answer a row.

    Returns:
        A frame with the same index and the columns answer, score, start, end and no_answer_score.

    Raises:
        ExampleError: a cell without text; the message has the row's number.
        DataError: a name of several columns.
        ModelError: no reader.
        KeyError: no such column.

    """
    rows = zip(_column(frame, question), _column(frame, context), strict=True)
    inputs = [{"question": one, "context": text} for one, text in rows]
    found = cast("list[dict[str, Any]]", predictor_of(predictor)(inputs, **one_answer(given)))
    columns = {name: [row[name] for row in found] for name in _COLUMNS}
    return pd.DataFrame(columns, index=frame.index).astype(_COLUMNS)


def _column(frame: pd.DataFrame, name: str) -> pd.Series:
    column = frame[name]
    if not isinstance(column, pd.Series):
        raise DataError(f"found a table of {column.shape[1]} columns as {name!r}; wanted the name of one column")
    return column
