"""Predictions -> what is written for every row: its answer, and what other thresholds need."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import repeat
from typing import NotRequired, cast

from qa.decoding.predictions import Predictions
from qa.inference.answers import Answer, answers_of
from qa.inference.options import AnswerOptions
from qa.inference.several import all_answers_of


class Record(Answer):
    """What is written for a row: its answer, and what `qa score` needs to try other thresholds."""

    best_span: str
    """The best answer that is not "no answer"."""
    null_odds: float
    answers: NotRequired[list[Answer]]
    """All that were asked for, best first; only there where there may be several."""


def records_of(contexts: Sequence[str], predictions: Predictions, options: AnswerOptions) -> Iterator[Record]:
    """Yield what is written for every row.

    Args:
        contexts: of the rows.
        predictions: of the same rows.
        options: how they are answered.

    """
    wants_all = options.answers == "all"
    listed = 2 if wants_all else max(options.top_k, 2)  # "no answer" may be the first
    found = answers_of(predictions, contexts, replace(options, top_k=listed))
    every = all_answers_of(predictions, contexts, options) if wants_all else repeat([], len(contexts))
    for answers, own, null_odds in zip(found, every, predictions.null_odds.tolist(), strict=True):
        best_span = next((answer["answer"] for answer in answers if answer["answer"]), "")
        record = cast("Record", {**answers[0], "best_span": best_span, "null_odds": null_odds})
        if wants_all or options.top_k > 1:
            record["answers"] = own if wants_all else answers[: options.top_k]
        yield record
