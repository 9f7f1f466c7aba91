"""How far a run has come: what a resumed run must know, and what one step tells its caller."""

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
    """Ids of this run at the tracker, one an attempt."""

    def judge(self, scores: Mapping[str, float] | None, metric: str | None) -> bool:
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
class StepReport:
    """What one optimizer step did, over all processes."""

    step: int
    """Optimizer steps done, this one included."""
    epoch: float
    """Passes over the training features done."""
    ends_epoch: bool
    loss: float
    """Mean over the update's features of the cross entropies of start and end, averaged; in nats."""
    learning_rate: float
    gradient_norm: float
    """Before clipping."""
    features: int
    tokens: int
    """Without padding."""
    padded_tokens: int
    flops: float = 0.0
    """Floating-point operations that the update's features need; 0 where they are not counted."""
    overflows: int
    """How often the update was repeated with a smaller loss scale (fp16)."""
    seconds: float
    """Loading of the batches included."""


def is_due(every: int | None, report: StepReport) -> bool:
    """Return whether what happens `every` so many steps (None: after each epoch; 0: never) happens after this step."""
    return report.ends_epoch if every is None else every > 0 and report.step % every == 0
