"""The official SQuAD scores."""

from qa.metrics.normalization import normalize_answer
from qa.metrics.squad import (
    RawScores,
    Scores,
    Squad,
    SquadV2,
    best_threshold,
    exact_match,
    f1,
    load,
    raw_scores,
    score,
)

__all__ = [
    "RawScores",
    "Scores",
    "Squad",
    "SquadV2",
    "best_threshold",
    "exact_match",
    "f1",
    "load",
    "normalize_answer",
    "raw_scores",
    "score",
]
