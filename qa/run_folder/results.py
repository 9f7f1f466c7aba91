"""Scores, predictions, n-best, null odds."""

from typing import Any

from qa.decoding.predictions import Predictions
from qa.evaluation.evaluator import Evaluation
from qa.files import write_json
from qa.run_folder.paths import RunPaths


def write_results(paths: RunPaths, evaluation: Evaluation) -> None:
    """Write the answers, the n-best candidates, the null odds and, where there are references, the scores."""
    predictions = evaluation.predictions
    assert predictions is not None, "only the main process has predictions, and only it writes"
    texts = predictions.texts(evaluation.threshold)
    write_json(paths.predictions, dict(zip(predictions.ids, texts, strict=True)))
    write_json(paths.n_best, predictions.n_best())
    write_json(paths.null_odds, dict(zip(predictions.ids, predictions.null_odds.tolist(), strict=True)))
    if evaluation.several:
        write_json(paths.all_answers, _all_answers(predictions, evaluation.threshold))
    if evaluation.scores is not None:
        write_json(paths.metrics, evaluation.scores | {"no_answer_possible": evaluation.null_possible})


def _all_answers(predictions: Predictions, threshold: float) -> dict[str, list[dict[str, Any]]]:
    """Return all answers of every example by its id, best first."""
    columns = {name: getattr(predictions, name).tolist() for name in ("start", "end", "probability")}
    columns["text"] = list(predictions.text)
    return {
        key: [{name: columns[name][row] for name in ("text", "start", "end", "probability")} for row in rows]
        for key, rows in zip(predictions.ids, predictions.all_answers(threshold), strict=True)
    }
