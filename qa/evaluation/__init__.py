"""How good a reader is."""

from typing import TYPE_CHECKING

from qa.lazy import lazy_exports

if TYPE_CHECKING:
    from qa.evaluation.evaluator import Evaluation as Evaluation
    from qa.evaluation.evaluator import Evaluator as Evaluator

__all__ = ["Evaluation", "Evaluator"]

__getattr__ = lazy_exports(__name__, {"Evaluation": "evaluator", "Evaluator": "evaluator"})
