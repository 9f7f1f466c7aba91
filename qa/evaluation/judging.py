"""What validation sets can judge: the score that models are compared by, and the language that each is scored by."""

from collections.abc import Mapping

from qa.config import RunConfig
from qa.data.examples import Examples
from qa.errors import ConfigError
from qa.evaluation.grading import score_names
from qa.evaluation.several import SEVERAL_SCORES
from qa.metrics.normalization import language_rules


def languages_of(config: RunConfig) -> dict[str, str]:
    """Return the languages of the further sets by their names: their own, or the run's.

    Raises:
        ConfigError: one of them, or the run's, has no rules for scores.

    """
    usual, sets = config.decoding.language, config.further_validation_data()
    languages = {name: given.language or usual for name, given in sets.items()}
    for code in (usual, *languages.values()):
        language_rules(code)
    return languages


def require_best_metric(config: RunConfig, sets: Mapping[str, Examples]) -> None:
    """Check that the sets, by what stands before their scores, can have the score that trained models are compared by.

    Raises:
        ConfigError: they cannot, or none is named and the first set has no scores, but another one has; or no set has
            references, and the best models are asked for, or a stop without a better one.

    """
    training = config.training
    if training.max_steps == 0:
        return
    metric, judged = training.best_metric, any(examples.has_references for examples in sets.values())
    if not judged:
        for name, idle in (("best-metric", None), ("patience", None), ("keep-best", 1)):
            found = getattr(training, name.replace("-", "_"))
            if found != idle:
                raise ConfigError(f"training.{name} is {found!r}; wanted validation data with references")
    elif metric is not None or not sets[""].has_references:
        _require_known(metric, _names_of_scores(config, sets))


def _names_of_scores(config: RunConfig, sets: Mapping[str, Examples]) -> list[str]:
    """Return the names of all scores of the sets that have references."""
    names: list[str] = []
    for begin, examples in sets.items():
        if examples.has_references:
            answerable = any(answers["text"] for answers in examples.rows["answers"][:])
            of_one = score_names(answerable=answerable, impossible=examples.has_impossible)
            known = SEVERAL_SCORES if config.data.answers == "all" else of_one
            names += [f"{begin}{name}" for name in known]
    return names


def _require_known(metric: str | None, names: list[str]) -> None:
    if metric not in names:
        why = "which this data cannot have" if metric is not None else "and the validation data has no references"
        raise ConfigError(f"training.best-metric is {metric!r}, {why}; wanted {', '.join(names)}")
