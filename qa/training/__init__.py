"""The loop."""

from typing import TYPE_CHECKING

from qa.lazy import lazy_exports

if TYPE_CHECKING:
    from qa.training.loop import TrainingLoop as TrainingLoop
    from qa.training.optimization import build_optimizer as build_optimizer
    from qa.training.plan import TrainingPlan as TrainingPlan
    from qa.training.plan import plan_training as plan_training
    from qa.training.setup import prepare as prepare
    from qa.training.setup import prepare_for_evaluation as prepare_for_evaluation
    from qa.training.teachers import with_teachers as with_teachers

__all__ = [
    "TrainingLoop",
    "TrainingPlan",
    "build_optimizer",
    "plan_training",
    "prepare",
    "prepare_for_evaluation",
    "with_teachers",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "TrainingLoop": "loop",
        "TrainingPlan": "plan",
        "build_optimizer": "optimization",
        "plan_training": "plan",
        "prepare": "setup",
        "prepare_for_evaluation": "setup",
        "with_teachers": "teachers",
    },
)
