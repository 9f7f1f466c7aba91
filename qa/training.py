"""The training loop, as a generator of optimizer steps: its caller decides when to log, evaluate and save."""

import contextlib
import itertools
import logging
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from accelerate.utils import DistributedType
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from qa.batching import Batch, Split, batch_loader, epoch_order, micro_batches, padding_multiple, updates_per_epoch
from qa.config import TrainingConfig
from qa.errors import ConfigError, MemoryLimitError, NotFiniteError
from qa.features import Features
from qa.flops import TrainingFlops
from qa.memory import any_process, average_gradients, free_memory, is_out_of_memory, memory_error
from qa.optimization import learning_rate, set_learning_rate
from qa.progress import Progress, StepReport

log = logging.getLogger(__name__)

_WHOLE_MODELS = (DistributedType.NO, DistributedType.MULTI_CPU, DistributedType.MULTI_GPU)
_MAX_OVERFLOWS = 30  # in a row: from the scale that fp16 starts at down to far below one


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """The sizes that follow from features, processes and settings."""

    split: Split
    updates_per_epoch: int
    total_steps: int


def plan_training(features: int, accelerator: Accelerator, config: TrainingConfig) -> TrainingPlan:
    """Work out how many optimizer steps an epoch and the run have.

    Raises:
        ConfigError: fewer features than forward passes of one step, or batches of a size that cannot be halved.

    """
    if config.auto_batch_size and accelerator.distributed_type not in _WHOLE_MODELS:
        kind = accelerator.distributed_type.value
        raise ConfigError(f"training.auto-batch-size under {kind}; wanted one process, or whole models on each (DDP)")
    split = Split(
        process=accelerator.process_index,
        processes=accelerator.num_processes,
        accumulation_steps=config.accumulation_steps,
        batch_size=config.batch_size,
    )
    updates = updates_per_epoch(features, split)
    total = config.max_steps if config.max_steps is not None else math.ceil(config.epochs * updates)
    return TrainingPlan(split=split, updates_per_epoch=updates, total_steps=total)


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
    flops: TrainingFlops = field(default_factory=TrainingFlops)
    """What a feature costs, for the reports."""

    @property
    def is_done(self) -> bool:
        """Whether all steps of the plan are done."""
        return self.progress.step >= self.plan.total_steps

    @property
    def has_ended(self) -> bool:
        """Whether no step will follow: all are done, or no progress is made."""
        return self.is_done or self.progress.has_stalled(self.config.patience)

    def steps(self) -> Iterator[StepReport]:
        """Train to the end of the plan, or until no progress is made, from where `progress` stands. Collective.

        One optimizer step at a time: between steps the caller may evaluate, save, or stop iterating; the order of
        features is a function of seed and step alone.

        Raises:
            NotFiniteError: the loss or the gradient is not finite; the step has not been taken.
            MemoryLimitError: a batch does not fit into memory, and smaller ones do not help or are not allowed.

        """
        while not self.has_ended:
            epoch, done = divmod(self.progress.step, self.plan.updates_per_epoch)
            updates = self._epoch_updates(epoch)[done : done + self.plan.total_steps - self.progress.step]
            for update, batches, began in self._loaded(updates):
                if self.has_ended:
                    return
                yield self._step(update, batches, began)

    def _epoch_updates(self, epoch: int) -> list[np.ndarray]:
        lengths = self.features.lengths
        return epoch_order(lengths, seed=self.seed, epoch=epoch, updates=self.plan.updates_per_epoch)

    @property
    def _split(self) -> Split:
        """The plan's, with the batches halved as often as memory demands."""
        split, factor = self.plan.split, 1
        while math.ceil(split.batch_size / factor) > (self.progress.batch_limit or split.batch_size):
            factor *= 2
        return replace(
            split,
            accumulation_steps=split.accumulation_steps * factor,
            batch_size=math.ceil(split.batch_size / factor),
        )

    def _loaded(self, updates: Sequence[np.ndarray]) -> Iterator[tuple[np.ndarray, list[Batch], float]]:
        """Load updates, each with the time when that began; the rest anew where the batches were halved meanwhile."""
        at = 0
        while at < len(updates):
            limit = self.progress.batch_limit
            began = time.perf_counter()
            for batches in self._batches_of(updates[at:]):
                yield updates[at], batches, began
                began = time.perf_counter()
                at += 1
                if self.progress.batch_limit != limit:
                    break

    def _batches_of(self, updates: Sequence[np.ndarray]) -> Iterator[list[Batch]]:
        """Load this process's micro-batches, grouped by update."""
        split = self._split
        shares = [part for update in updates for part in micro_batches(update, split)]
        loader = batch_loader(
            self.features,
            shares,
            input_names=self.input_names,
            pad_multiple=padding_multiple(compiled=self.config.compile),
            device=self.accelerator.device,
        )
        while group := list(itertools.islice(loader, split.accumulation_steps)):
            yield group

    def _step(self, update: np.ndarray, batches: Sequence[Batch], began: float) -> StepReport:
        """Take one optimizer step, with batches halved as often as it takes where the configuration allows it.

        Not accelerate's `find_executable_batch_size`: that starts its function over, here one update is repeated.
        """
        try:
            return self._attempt(update, batches, began)
        except MemoryLimitError as error:
            smallest = len(self.features) // self.plan.updates_per_epoch
            if not self.config.auto_batch_size or smallest < 2 * self._split.micro_batches:
                raise
            log.warning("step %d: %s; going on with halved batches", self.progress.step, error)
        self.model.zero_grad()  # not the optimizer's, which accelerate leaves alone between the batches of a step
        free_memory()
        self.progress.batch_limit = math.ceil(self._split.batch_size / 2)
        (smaller,) = self._batches_of([update])
        return self._step(update, smaller, began)

    def _attempt(self, update: np.ndarray, batches: Sequence[Batch], began: float) -> StepReport:
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
        lengths = self.features.lengths_of(update)
        return StepReport(
            step=self.progress.step,
            epoch=self.progress.step / self.plan.updates_per_epoch,
            ends_epoch=self.progress.step % self.plan.updates_per_epoch == 0,
            loss=loss,
            learning_rate=rate,
            gradient_norm=norm,
            features=len(update),
            tokens=int(lengths.sum()),
            padded_tokens=padded,
            flops=self.flops.of_texts(lengths),
            overflows=overflows,
            seconds=time.perf_counter() - began,
        )

    def _gradient(self, update: np.ndarray, batches: Sequence[Batch], rate: float) -> tuple[float, int, float]:
        """Compute the update's gradient; return loss, padded tokens and gradient norm."""
        sums = self._forward_backward(batches, features=len(update))
        norm = self._clipped_norm()  # first: a device is waited for once
        loss, padded = sums.tolist()
        self._check_finite(loss, norm, rate, batches)
        return loss, int(padded), norm

    def _forward_backward(self, batches: Sequence[Batch], *, features: int) -> Float[Tensor, "2"]:
        """Add up the gradient of the mean loss over the update's `features`; return that loss and the padded tokens.

        Dividing by the true count of the whole update, not by each batch's, makes the gradient independent of how the
        update is cut. Backends average gradients over processes, hence the factor.
        """
        accelerator, apart = self.accelerator, self._exchanges_apart
        self._seed_step()
        precise = torch.float64 if accelerator.device.type != "mps" else torch.float32  # Apple's GPUs have no float64
        summed = torch.zeros(2, device=accelerator.device, dtype=precise)
        failed: MemoryLimitError | None = None
        for batch in batches:
            last = batch is batches[-1]
            accelerator.sync_gradients = last
            try:
                with contextlib.nullcontext() if last and not apart else accelerator.no_sync(self.model):
                    summed[0] += self._backward(batch, features)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                failed = memory_error(batch.shape)
                break
            summed[1] += math.prod(batch.shape)
        if any_process(accelerator, failed is not None) if apart else failed is not None:
            raise failed or memory_error(max((batch.shape for batch in batches), key=math.prod))
        if apart:
            average_gradients(accelerator, self.model.parameters())
        total: Tensor = accelerator.reduce(summed, "sum")
        return total

    @property
    def _exchanges_apart(self) -> bool:
        """Whether processes exchange gradients after all backward passes, not in the last one.

        A process that runs out of memory could not take part in an exchange, and the others would wait for it.
        """
        return self.config.auto_batch_size and self.accelerator.num_processes > 1

    def _backward(self, batch: Batch, features: int) -> Float[Tensor, ""]:
        """Add a batch's gradient to what is there; return its part of the update's loss."""
        output = self.model(**batch.inputs)
        loss = span_loss(output.start_logits, output.end_logits, batch) / features
        self.accelerator.backward(loss * self.accelerator.num_processes)
        return loss.detach()

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
