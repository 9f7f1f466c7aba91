"""The table of predictions."""

from collections.abc import Mapping, Sequence
from typing import Any

from qa.evaluation.evaluator import Evaluation
from qa.evaluation.mistakes import MISTAKES, Given, choose, given_by, judge, places_of
from qa.evaluation.slices import KINDS, groups_of
from qa.report.marking import bracketed, marked_part

COLUMNS = (
    *("id", "question", "context", "prediction", "reference", "mistake", "exact", "f1"),
    *("score", "probability", "null_odds", *KINDS),
)
_AROUND = 150  # characters of the context on either side of what is marked
_RIGHT = "right"
_NO_ANSWERS: Mapping[str, Any] = {"answers": {"text": [], "answer_start": []}}


def prediction_table(evaluation: Evaluation, rows: int, *, language: str) -> list[list[Any]]:
    """Return rows of `COLUMNS`: wrong answers of every kind and, a quarter of them, right ones.

    Which examples are shown depends on their ids and what is wrong with them; without references, on their ids. There
    are none where there are no predictions, as off the main process.
    """
    predictions, examples = evaluation.predictions, evaluation.examples
    if predictions is None:
        return []
    given = given_by(predictions, evaluation.threshold)
    graded = _graded(evaluation, given, language)
    kinds = [kind if kind in MISTAKES else None for kind, _, _ in graded]
    shown = choose(predictions.ids, kinds, rows)
    odds = predictions.null_odds.tolist()
    table = []
    for row, example in zip(shown, examples.rows.select(shown), strict=True):
        best, after = predictions.bounds[row : row + 2].tolist()
        score = float(predictions.start_logit[best] + predictions.end_logit[best]) if best < after else None
        share = given[example["id"]].probability
        known = {**_NO_ANSWERS, **example}
        if evaluation.windows is not None:
            known["windows"] = int(evaluation.windows[row])
        table.append(
            [
                example["id"],
                example["question"],
                _context(known, given[example["id"]]),
                given[example["id"]].text,
                " | ".join(dict.fromkeys(known["answers"]["text"])),
                *graded[row],
                *(score, share, odds[row]),
                *(groups_of(known, language=language).values() if examples.has_references else [None] * len(KINDS)),
            ]
        )
    return table


def _graded(
    evaluation: Evaluation, given: Mapping[str, Given], language: str
) -> Sequence[tuple[str | None, float | None, float | None]]:
    """Return what is wrong with each answer, its exact match and its F1; nothing is known without references."""
    if not evaluation.examples.has_references:
        return [(None, None, None)] * len(given)
    judged = judge(evaluation.examples.rows, given, language=language)
    return [(answer.mistake or _RIGHT, answer.exact, answer.f1) for answer in judged]


def _context(example: Mapping[str, Any], given: Given) -> str:
    answers = [] if given.place is None else [given.place]
    return bracketed(marked_part(example["context"], answers, places_of(example), characters=_AROUND))
