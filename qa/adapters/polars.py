"""Polars: the answers to a frame's questions, as an expression."""

from typing import Any, Unpack, cast

import polars as pl

from qa.inference.options import CallOptions, one_answer
from qa.inference.predictor import predictor_of

ANSWER = pl.Struct(
    {
        "answer": pl.String,
        "score": pl.Float64,
        "start": pl.Int64,
        "end": pl.Int64,
        "no_answer_score": pl.Float64,
    }
)
"""Type of the answers."""


def answer_expression(
    predictor: object,
    *,
    question: str | pl.Expr = "question",
    context: str | pl.Expr = "context",
    **given: Unpack[CallOptions],
) -> pl.Expr:
    """Return an expression that answers the question of every row from its context: a struct `ANSWER`.

    Args:
        predictor: the reader, or a pipeline of it.
        question: name of the column of questions, or an expression, such as `pl.lit("Who built it?")`.
        context: the same of contexts.
        given: see `CallOptions`; one answer a row.

    Raises:
        ModelError: no reader.
        ExampleError: when evaluated: a cell without text; the message has the row's number.

    """
    reader = predictor_of(predictor)
    asked, text = (pl.col(one) if isinstance(one, str) else one for one in (question, context))

    def answers(rows: pl.Series) -> pl.Series:
        found = cast("list[dict[str, Any]]", reader(rows.to_list(), **one_answer(given)))
        names = [field.name for field in ANSWER.fields]
        return pl.Series(rows.name, [{name: row[name] for name in names} for row in found], dtype=ANSWER)

    pair = pl.struct(asked.alias("question"), text.alias("context"))
    return pair.map_batches(answers, return_dtype=ANSWER, is_elementwise=True).alias("answer")
