"""The training loop, as a generator of optimizer steps: its caller decides when to log, evaluate and save."""

import contextlib
import itertools
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from accelerate.utils import DistributedType
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from qa.batching import PAD_MULTIPLE, Batch, Split, batch_loader, epoch_order, micro_batches, updates_per_epoch
from qa.config import TrainingConfig
from qa.errors import ConfigError, NotFiniteError
from qa.features import Features
from qa.optimization import learning_rate, set_learning_rate

COMPILED_PAD_MULTIPLE = 64
"""Padded lengths when compiling: few shapes, since each is compiled for itself."""
_MAX_OVERFLOWS = 30  # in a row: from the scale that fp16 starts at down to far below one


@dataclass
class Progress:
    """How far a run has come; all that a resumed run must know beside weights, optimizer and generators."""

    step: int = 0
    """Optimizer steps done."""
    best_score: float | None = None
    evaluations_since_best: int = 0
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
    overflows: int
    """How often the update was repeated with a smaller loss scale (fp16)."""
    seconds: float
    """Loading of the batches included."""


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """The sizes that follow from features, processes and settings."""

    split: Split
    updates_per_epoch: int
    total_steps: int


def plan_training(features: int, accelerator: Accelerator, config: TrainingConfig) -> TrainingPlan:
    """Work out how many optimizer steps an epoch and the run have.

    Raises:
        ConfigError: fewer features than forward passes of one step.

    """
    split = Split(
        process=accelerator.process_index,
        processes=accelerator.num_processes,
        accumulation_steps=config.accumulation_steps,
        batch_size=config.batch_size,
    )
    updates = updates_per_epoch(features, split)
    total = config.max_steps if config.max_steps is not None else math.ceil(config.epochs * updates)
    return TrainingPlan(split=split, updates_per_epoch=updates, total_steps=total)


def is_due(every: int | None, report: StepReport) -> bool:
    """Return whether what happens `every` so many steps (None: after each epoch; 0: never) happens after this step."""
    return report.ends_epoch if every is None else every > 0 and report.step % every == 0


def span_loss(
    start_logits: Float[Tensor, "feature token"], end_logits: Float[Tensor, "feature token"], batch: Batch
) -> Float[Tensor, ""]:
    """Return the sum over features of the mean cross entropy of start and end, in float32 (Devlin et al., 2019).

    Padding takes no part in the softmax, so that a feature's loss does not depend on the batch it is in.
    """
    padding = batch.inputs["attention_mask"] == 0
    start, end = (logits.float().masked_fill(padding, -torch.inf) for logits in (start_logits, end_logits))
    return (
        cross_entropy(start, batch.label_first, reduction="sum") + cross_entropy(end, batch.label_last, reduction="sum")
    ) / 2


@dataclass(frozen=True, kw_only=True)
class Trainer:
    """What a training loop works on: the objects that accelerate prepared, the features and the plan."""

    accelerator: Accelerator
    model: nn.Module
    optimizer: AcceleratedOptimizer
    features: Features
    ids: Sequence[str]
    """Of the examples, for error messages."""
    input_names: Sequence[str]
    config: TrainingConfig
    plan: TrainingPlan
    seed: int
    progress: Progress

    @property
    def is_done(self) -> bool:
        """Whether all steps of the plan are done."""
        return self.progress.step >= self.plan.total_steps

    def steps(self) -> Iterator[StepReport]:
        """Train to the end of the plan, or until no progress is made, from where `progress` stands. Collective.

        One optimizer step at a time: between steps the caller may evaluate, save, or stop iterating; the order of
        features is a function of seed and step alone.

        Raises:
            NotFiniteError: the loss or the gradient is not finite; the step has not been taken.

        """
        while not self.is_done:
            epoch, done = divmod(self.progress.step, self.plan.updates_per_epoch)
            updates = self._epoch_updates(epoch)[done : done + self.plan.total_steps - self.progress.step]
            batches = self._batches_of(updates)
            for update in updates:
                if self.progress.has_stalled(self.config.patience):
                    return
                began = time.perf_counter()
                yield self._step(update, next(batches), began)

    def _epoch_updates(self, epoch: int) -> list[np.ndarray]:
        lengths = self.features.lengths
        return epoch_order(lengths, seed=self.seed, epoch=epoch, updates=self.plan.updates_per_epoch)

    def _batches_of(self, updates: Sequence[np.ndarray]) -> Iterator[list[Batch]]:
        """Load this process's micro-batches, grouped by update."""
        split = self.plan.split
        shares = [part for update in updates for part in micro_batches(update, split)]
        loader = batch_loader(
            self.features,
            shares,
            input_names=self.input_names,
            pad_multiple=COMPILED_PAD_MULTIPLE if self.config.compile else PAD_MULTIPLE,
            device=self.accelerator.device,
        )
        while group := list(itertools.islice(loader, split.accumulation_steps)):
            yield group

    def _step(self, update: np.ndarray, batches: Sequence[Batch], began: float) -> StepReport:
        """Take one optimizer step; an update whose fp16 gradient overflows is repeated with the smaller loss scale."""
        rate = learning_rate(self.progress.step, total=self.plan.total_steps, config=self.config)
        set_learning_rate(self.optimizer, rate)
        self.model.train()
        loss, padded, norm = self._gradient(update, batches, rate)
        overflows = 0
        while not self._apply():
            overflows += 1
            if overflows == _MAX_OVERFLOWS:
                raise self._not_finite(loss, norm, rate, batches)
            loss, padded, norm = self._gradient(update, batches, rate)
        self.progress.step += 1
        return StepReport(
            step=self.progress.step,
            epoch=self.progress.step / self.plan.updates_per_epoch,
            ends_epoch=self.progress.step % self.plan.updates_per_epoch == 0,
            loss=loss,
            learning_rate=rate,
            gradient_norm=norm,
            features=len(update),
            tokens=int(self.features.lengths_of(update).sum()),
            padded_tokens=padded,
            overflows=overflows,
            seconds=time.perf_counter() - began,
        )

    def _gradient(self, update: np.ndarray, batches: Sequence[Batch], rate: float) -> tuple[float, int, float]:
        """Compute the update's gradient; return loss, padded tokens and gradient norm."""
        loss, padded = self._forward_backward(batches, features=len(update))
        norm = self._clipped_norm()
        self._check_finite(loss, norm, rate, batches)
        return loss, padded, norm

    def _forward_backward(self, batches: Sequence[Batch], *, features: int) -> tuple[float, int]:
        """Add up the gradient of the mean loss over the update's `features`; return that loss and the padded tokens.

        Dividing by the true count of the whole update, not by each batch's, makes the gradient independent of how the
        update is cut. Backends average gradients over processes, hence the factor.
        """
        processes = self.accelerator.num_processes
        self._seed_step()
        summed = torch.zeros(2, device=self.accelerator.device, dtype=torch.float64)
        for batch in batches:
            last = batch is batches[-1]
            self.accelerator.sync_gradients = last
            with contextlib.nullcontext() if last else self.accelerator.no_sync(self.model):
                output = self.model(**batch.inputs)
                loss = span_loss(output.start_logits, output.end_logits, batch) / features
                self.accelerator.backward(loss * processes)
            summed[0] += loss.detach()
            summed[1] += math.prod(batch.shape)
        total = self.accelerator.reduce(summed, "sum").tolist()
        return total[0], int(total[1])

    def _seed_step(self) -> None:
        """Make dropout a function of (seed, step, process), as the order of features is one of (seed, epoch).

        So neither an evaluation, nor a repeated update, nor a resumed run can change what is drawn.
        """
        entropy = np.random.SeedSequence([self.seed, self.progress.step, self.accelerator.process_index])
        torch.manual_seed(int(entropy.generate_state(1, np.uint64)[0]))

    def _clipped_norm(self) -> float:
        limit = self.config.max_gradient_norm
        norm = self.accelerator.clip_grad_norm_(self.model.parameters(), math.inf if limit is None else limit)
        return math.nan if norm is None else float(norm)  # DeepSpeed clips by itself and may not tell

    def _check_finite(self, loss: float, norm: float, rate: float, batches: Sequence[Batch]) -> None:
        """Stop all processes alike: loss and norm are the same on all. An infinite norm is the loss scaler's business.

        DeepSpeed does not tell the norm.
        """
        scaled = self.accelerator.scaler is not None
        untold = self.accelerator.distributed_type == DistributedType.DEEPSPEED
        if not math.isfinite(loss) or not (scaled or untold or math.isfinite(norm)):
            raise self._not_finite(loss, norm, rate, batches)

    def _not_finite(self, loss: float, norm: float, rate: float, batches: Sequence[Batch]) -> NotFiniteError:
        features = np.concatenate([batch.feature.cpu().numpy() for batch in batches])
        ids = ", ".join(repr(self.ids[row]) for row in dict.fromkeys(self.features.example[features].tolist()))
        return NotFiniteError(
            f"step {self.progress.step}: loss {loss}, gradient norm {norm} at learning rate {rate:g}; "
            f"process {self.accelerator.process_index} worked on the examples {ids}"
        )

    def _apply(self) -> bool:
        """Update the weights; return False if fp16's scaler found an overflow and skipped.

        The scale tells, not accelerate's own flag, which a fused optimizer never sets (accelerate #4242).
        """
        scaler = self.accelerator.scaler
        before = scaler.get_scale() if scaler is not None else 1.0
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return scaler is None or scaler.get_scale() >= before
