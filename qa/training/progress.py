"""What a resumed run must know; what a step reports."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from qa.errors import ConfigError


@dataclass
class Progress:
    """How far a run has come; all that a resumed run must know beside weights, optimizer and loss scale."""

    step: int = 0
    """Optimizer steps done."""
    best_score: float | None = None
    evaluations_since_best: int = 0
    evaluation_due: bool = False
    """The run stopped before the evaluation that belongs to `step` was done."""
    batch_limit: int | None = None
    """Most features of a forward pass that memory holds; None: it has not run out yet."""
    tracker_ids: list[str] = field(default_factory=list)
    """Ids of this run at the tracker, one per attempt."""

    def note_scores(self, scores: Mapping[str, float] | None, metric: str | None) -> bool:
        """Take note of an evaluation's scores; return whether it is the best so far.

        Without references there are no scores, and the newest model counts as the best.

        Args:
            scores: of the evaluation.
            metric: the score to compare by; None: `best_f1` where there is one, else `f1`.

        Raises:
            ConfigError: the metric is not among the scores.

        """
        self.evaluation_due = False
        if scores is None:
            return True
        name = metric or ("best_f1" if "best_f1" in scores else "f1")
        if name not in scores:
            raise ConfigError(f"training.best-metric is {name!r}; wanted one of {', '.join(scores)}")
        better = self.best_score is None or scores[name] > self.best_score
        self.best_score = scores[name] if better else self.best_score
        self.evaluations_since_best = 0 if better else self.evaluations_since_best + 1
        return better

    def has_stalled(self, patience: int | None) -> bool:
        """Return whether `patience` evaluations have passed without a better score."""
        return patience is not None and self.evaluations_since_best >= patience


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


@dataclass(frozen=True, kw_only=True)
class StepReport(StepPosition):
    """What one optimizer step did, over all processes."""

    trained: bool = True
    """False: nothing was trained and what follows is 0; an evaluation is due from before the run was stopped."""
    loss: float = 0.0
    """Mean over the step's features, in nats."""
    learning_rate: float = 0.0
    gradient_norm: float = 0.0
    """Before clipping."""
    features: int = 0
    tokens: int = 0
    """Without padding."""
    padded_tokens: int = 0
    flops: float = 0.0
    """Floating-point operations that the step's features need; 0 where they are not counted."""
    overflows: int = 0
    """How often the step was repeated with a smaller loss scale (fp16)."""
    seconds: float = 0.0
    """Loading of the batches included."""
