"""Scores, predictions, n-best, null odds."""

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
    if evaluation.scores is not None:
        write_json(paths.metrics, evaluation.scores | {"no_answer_possible": evaluation.null_possible})
