"""What a resumed run must know; what a step reports."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from qa.errors import ConfigError
from qa.metrics import main_score

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class StepPosition:
    """Where a run stands after a step, and what is due there."""

    number: int
    """Optimizer steps done."""
    epoch: float
    """Passes over the training features done."""
    ends_epoch: bool
    evaluation_due: bool
    save_due: bool


class _Late:
    """A field whose number may come later: a function in its place is called when the field is first read."""

    def __init__(self, default: Any) -> None:  # noqa: ANN401  # int or float, as the field is
        self._default = default

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = f"_{name}"

    def __get__(self, report: "StepReport | None", owner: type) -> Any:  # noqa: ANN401  # as above
        if report is None:  # what the dataclass takes as the default
            return self._default
        value = vars(report)[self._name]
        if callable(value):
            value = vars(report)[self._name] = value()
        return value

    def __set__(self, report: "StepReport", value: Any) -> None:  # noqa: ANN401  # as above
        vars(report)[self._name] = value


def _late(default: Any) -> Any:  # noqa: ANN401  # a descriptor where the type checker wants what it returns
    return _Late(default)


@dataclass(frozen=True, kw_only=True)
class StepReport(StepPosition):
    """What one optimizer step did, over all processes.

    Loss, gradient norm, padded tokens and own seconds may still be on their way from the device: who reads them waits.
    """

    trained: bool = True
    """False: nothing was trained and what follows is 0; an evaluation is due from before the run was stopped."""
    loss: float = _late(0.0)
    """Mean over the step's features, in nats."""
    learning_rate: float = 0.0
    gradient_norm: float = _late(0.0)
    """Before clipping."""
    features: int = 0
    tokens: int = 0
    """Without padding."""
    padded_tokens: int = _late(0)
    flops: float = 0.0
    """Floating-point operations that the step's features need; 0 where they are not counted."""
    overflows: int = 0
    """How often the step was repeated with a smaller loss scale (fp16)."""
    seconds: float = 0.0
    """Loading of the batches included."""
    waited: float = 0.0
    """Seconds of these in which the process waited for its batches."""
    own_seconds: Sequence[float] = _late(())
    """By process, those in which it waited for no other: for batches and in forward passes. Zeros: not measured."""

    def read_later(self, **numbers: Callable[[], float | Sequence[float]]) -> "StepReport":
        """Let functions tell some of the late fields when they are read."""
        vars(self).update({f"_{name}": number for name, number in numbers.items()})
        return self


@dataclass
class Progress:
    """How far a run has come; all that a resumed run must know beside weights, optimizer and loss scale."""

    step: int = 0
    """Optimizer steps done."""
    best_score: float | None = None
    best_scores: dict[str, float] = field(default_factory=dict)
    """All scores of the best evaluation, for trackers' summaries."""
    evaluated: list[tuple[int, float]] = field(default_factory=list)
    """Step and compared score of every evaluation, of which the best models are kept."""
    evaluations_since_best: int = 0
    evaluation_due: bool = False
    """The run stopped before the evaluation that belongs to `step` was done."""
    batch_limit: int | None = None
    """Most features of a forward pass that memory holds; None: it has not run out yet."""
    tracker_ids: list[str] = field(default_factory=list)
    """Ids of this run at the tracker, one per attempt."""
    schedule_start: int = 0
    """The step at which the schedule of the learning rate was begun again for added steps; 0: never."""
    unlogged: list[StepReport] = field(default_factory=list)
    """Steps since the last logged interval, so that a resumed run logs the same intervals."""

    def note_scores(self, scores: Mapping[str, float] | None, metric: str | None) -> bool:
        """Take note of an evaluation's scores; return whether it is the best so far.

        Without references there are no scores, and the newest model counts as the best.

        Args:
            scores: of the evaluation.
            metric: the score to compare by; None: see `main_score`.

        Raises:
            ConfigError: the metric is not among the scores.

        """
        self.evaluation_due = False
        if scores is None:
            self._note_evaluation(float(self.step))
            return True
        name = metric or main_score(scores)
        if name not in scores:
            raise ConfigError(f"training.best-metric is {name!r}; wanted one of {', '.join(scores)}")
        better = self.best_score is None or scores[name] > self.best_score
        if better:
            self.best_score, self.best_scores = scores[name], dict(scores)
        self._note_evaluation(scores[name])
        self.evaluations_since_best = 0 if better else self.evaluations_since_best + 1
        return better

    def _note_evaluation(self, score: float) -> None:
        self.evaluated = [*(one for one in self.evaluated if one[0] != self.step), (self.step, score)]

    def best_steps(self, count: int) -> list[int]:
        """Return the steps of the best evaluations, the best first; of equal ones the earlier is the better."""
        return [step for step, _ in sorted(self.evaluated, key=lambda one: -one[1])[:count]]

    def forget_best(self) -> None:
        """Let the next evaluation be the best so far: the best model is not at hand, or its score not comparable."""
        if self.best_score is not None:
            log.info(
                "the best score of before, %.2f, does not count here: the next evaluation begins anew", self.best_score
            )
        self.best_score, self.best_scores, self.evaluated = None, {}, []

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Take over what a checkpoint holds; what it does not know stays as it is."""
        known = {name: value for name, value in saved.items() if name in vars(self)}
        vars(self).update(known)
        self.unlogged = [StepReport(**report) for report in saved.get("unlogged", ())]
        self.evaluated = [(step, score) for step, score in saved.get("evaluated", ())]

    def has_stalled(self, patience: int | None) -> bool:
        """Return whether `patience` evaluations have passed without a better score."""
        return patience is not None and self.evaluations_since_best >= patience
