"""The official scores as `evaluate` modules that load offline; `squad.py` does without that package."""

from collections.abc import Callable
from typing import Any

import datasets
import evaluate

from qa.errors import ConfigError
from qa.metrics.inputs import answer_texts, by_id
from qa.metrics.normalization import language_rules
from qa.metrics.squad import MetricName, Scores, squad_scores, squad_v2_scores


class Squad(evaluate.Metric):  # type: ignore[misc]  # evaluate has no types
    """SQuAD v1.1 exact match and F1, as the hub's metric `squad`."""

    language = "en"

    def _info(self) -> evaluate.MetricInfo:
        return _metric_info("exact_match and f1 of SQuAD v1.1, in percent", "Rajpurkar et al. 2016, arXiv:1606.05250")

    def _compute(self, predictions: list[dict[str, Any]], references: list[dict[str, Any]]) -> Scores:
        return squad_scores(by_id(predictions, "prediction_text"), answer_texts(references), self.language)


class SquadV2(evaluate.Metric):  # type: ignore[misc]  # evaluate has no types
    """SQuAD v2.0 exact match and F1, overall, with, without an answer, at best thresholds, as the hub's `squad_v2`."""

    language = "en"

    def _info(self) -> evaluate.MetricInfo:
        return _metric_info(
            "exact and f1 of SQuAD v2.0, in percent; above no_answer_threshold the prediction is that none is right",
            "Rajpurkar et al. 2018, arXiv:1806.03822",
            no_answer_probability=datasets.Value("float32"),
        )

    def _compute(
        self, predictions: list[dict[str, Any]], references: list[dict[str, Any]], no_answer_threshold: float = 1.0
    ) -> Scores:
        texts, null_odds = (by_id(predictions, column) for column in ("prediction_text", "no_answer_probability"))
        return squad_v2_scores(texts, answer_texts(references), null_odds, no_answer_threshold, self.language)


_METRICS: dict[str, Callable[..., evaluate.Metric]] = {"squad": Squad, "squad_v2": SquadV2}


def load(name: MetricName, language: str = "en") -> evaluate.Metric:
    """Return the `evaluate` metric with the inputs and outputs of the hub's metric of that name; needs no network.

    Its `compute` raises a `MetricError` where the hub's would crash, or count an id twice or not at all.

    Raises:
        ConfigError: not the code of a language, or an unknown name.
    """
    if name not in _METRICS:
        raise ConfigError(f"metric is {name!r}; wanted one of {', '.join(_METRICS)}")
    language_rules(language)
    metric = _METRICS[name](keep_in_memory=True)
    metric.language = language
    return metric


def _metric_info(description: str, citation: str, **more: datasets.Value) -> evaluate.MetricInfo:
    text = datasets.Value("string")
    answers = datasets.Sequence({"text": text, "answer_start": datasets.Value("int32")})
    prediction, reference = {"id": text, "prediction_text": text, **more}, {"id": text, "answers": answers}
    return evaluate.MetricInfo(
        description=description,
        citation=citation,
        inputs_description=f"\nPredictions are rows of {', '.join(prediction)}; references of {', '.join(reference)}.",
        features=datasets.Features({"predictions": prediction, "references": reference}),
    )
