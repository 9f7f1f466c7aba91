"""pandas: the answers to a frame's questions, as columns beside them."""

from typing import Any, Unpack, cast

import pandas as pd

from qa.inference.options import CallOptions
from qa.inference.predictor import Predictor

_COLUMNS = ("answer", "score", "start", "end", "no_answer_score")


def answer_frame(
    frame: pd.DataFrame,
    predictor: Predictor,
    *,
    question: str = "question",
    context: str = "context",
    **given: Unpack[CallOptions],
) -> pd.DataFrame:
    """Answer the question of every row from its context.

    Args:
        frame: with both columns.
        predictor: the reader.
        question: name of the column of questions.
        context: name of the column of contexts.
        given: see `CallOptions`; one answer a row.

    Returns:
        A frame with the same index and the columns answer, score, start, end and no_answer_score.

    Raises:
        ExampleError: a cell without text; the message has the row's number.
        KeyError: no such column.

    """
    rows = zip(frame[question], frame[context], strict=True)
    inputs = [{"question": one, "context": text} for one, text in rows]
    found = cast("list[dict[str, Any]]", predictor(inputs, **(given | CallOptions(top_k=1, answers="any"))))
    return pd.DataFrame({name: [row[name] for row in found] for name in _COLUMNS}, index=frame.index)
