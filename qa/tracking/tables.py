"""The table of predictions."""

from typing import Any

from qa.evaluation.evaluator import Evaluation

COLUMNS = ("id", "question", "prediction", "reference", "score", "probability", "null_odds")


def prediction_table(evaluation: Evaluation, rows: int) -> list[list[Any]]:
    """Return rows of `COLUMNS` for the first examples; none where there are no predictions, as off the main process."""
    predictions, examples = evaluation.predictions, evaluation.examples
    if predictions is None:
        return []
    texts, odds = predictions.texts(evaluation.threshold), predictions.null_odds.tolist()
    table = []
    for row, example in enumerate(examples.rows.select(range(min(rows, len(examples))))):
        best, after = predictions.bounds[row : row + 2].tolist()
        score = predictions.start_logit[best] + predictions.end_logit[best] if best < after else None
        share = predictions.probability[best] if best < after else None
        references = " | ".join(example["answers"]["text"]) if examples.has_references else ""
        table.append([example["id"], example["question"], texts[row], references, score, share, odds[row]])
    return table
