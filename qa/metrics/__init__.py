"""The official SQuAD scores."""

from typing import TYPE_CHECKING

from qa.lazy import lazy_exports
from qa.metrics.multi_span import multi_span_score
from qa.metrics.normalization import normalize_answer
from qa.metrics.squad import RawScores, Scores, best_threshold, exact_match, f1, main_score, raw_scores, score

if TYPE_CHECKING:
    from qa.metrics.modules import Squad as Squad
    from qa.metrics.modules import SquadV2 as SquadV2
    from qa.metrics.modules import load as load

__all__ = [
    "RawScores",
    "Scores",
    "Squad",
    "SquadV2",
    "best_threshold",
    "exact_match",
    "f1",
    "load",
    "main_score",
    "multi_span_score",
    "normalize_answer",
    "raw_scores",
    "score",
]

__getattr__ = lazy_exports(__name__, {"Squad": "modules", "SquadV2": "modules", "load": "modules"})
