"""Steps, one at a time; the caller decides what happens between them."""

import math
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from accelerate.utils import DistributedType
from jaxtyping import Int
from torch import nn

from qa.errors import MemoryLimitError, NotFiniteError
from qa.features.labels import Labels
from qa.features.windows import Features
from qa.modeling.loss import SpanLoss
from qa.runtime.memory import free_memory, is_out_of_memory, optimizer_memory_error
from qa.runtime.own_time import OwnTime
from qa.training.averaging import WeightAverage
from qa.training.gradients import Gradient, compute_gradient
from qa.training.loading import LoadedStep, StepLoader
from qa.training.optimization import learning_rate, set_learning_rate
from qa.training.plan import TrainingPlan
from qa.training.progress import Progress, StepPosition, StepReport

_MAX_OVERFLOWS = 30  # in a row: from the scale that fp16 starts at down to far below one


@dataclass(frozen=True, kw_only=True)
class _TakenStep:
    """A step whose loss and gradient norm may still be on their way from the device."""

    number: int
    rate: float
    gradient: Gradient
    loaded: LoadedStep

    @property
    def features(self) -> Int[np.ndarray, "feature"]:
        """Those of this process."""
        return np.concatenate([batch.feature.cpu().numpy() for batch in self.loaded.batches])

    def __str__(self) -> str:
        gradient = self.gradient
        return f"step {self.number}: loss {gradient.loss}, gradient norm {gradient.norm} at learning rate {self.rate:g}"


class TrainingLoop:
    """Trains a model that accelerate prepared, from where `progress` stands to the end of the plan.

    A device is never waited for within a step. Whether loss and gradient of a step were finite is known one step later;
    before anything is evaluated or saved, it is waited for (`settle`).
    """

    def __init__(
        self,
        accelerator: Accelerator,
        model: nn.Module,
        optimizer: AcceleratedOptimizer,
        features: Features,
        labels: Labels,
        plan: TrainingPlan,
        *,
        loss: SpanLoss,
    ) -> None:
        """Take what accelerate prepared, what is learned from, and the loss that is summed over a batch."""
        self.accelerator, self.model, self.optimizer, self.loss = accelerator, model, optimizer, loss
        self.features, self.plan, self.progress = features, plan, Progress()
        averages = plan.recipe.averaging != "none"
        self.average = WeightAverage(model, plan.recipe, plan.total_steps) if averages else None
        self.loader = StepLoader(
            features=features, labels=labels, plan=plan, progress=self.progress, device=accelerator.device
        )
        self._own_time = OwnTime(accelerator)
        self._plain: nn.Module = accelerator.unwrap_model(model)
        self._unsettled: _TakenStep | None = None
        self._loss_scale: float | None = None

    @property
    def is_done(self) -> bool:
        """Whether all steps of the plan are done."""
        return self.progress.step >= self.plan.total_steps

    @property
    def has_ended(self) -> bool:
        """Whether no step will follow: all are done, or no progress is made."""
        return self.is_done or self.progress.has_stalled(self.plan.config.patience)

    def steps(self) -> Iterator[StepReport]:
        """Train to the end of the plan, or until no progress is made. Collective.

        One optimizer step at a time: between steps the caller may evaluate, save, or stop iterating. A run that was
        stopped before an evaluation that was due begins with a report of that, without training.

        Raises:
            NotFiniteError: loss or gradient of a step were not finite; on a GPU one more may have been taken.
            MemoryLimitError: a batch does not fit into memory, and smaller ones do not help or are not allowed.

        """
        if self.progress.evaluation_due:
            yield StepReport(**vars(self._position()) | {"save_due": True}, trained=False)
        while not self.has_ended:
            for step in self.loader.remaining():
                if self.has_ended:
                    break
                yield self.step(step)
        self.settle()

    def step(self, step: LoadedStep) -> StepReport:
        """Take one optimizer step; one whose fp16 gradient overflows is repeated with the smaller loss scale.

        Raises:
            NotFiniteError, MemoryLimitError: see `steps`.

        """
        rate = learning_rate(
            self.progress.step,
            total=self.plan.total_steps,
            config=self.plan.config,
            start=self.progress.schedule_start,
        )
        set_learning_rate(self.optimizer, rate)
        if not self._plain.training:  # a wrapper has a mode of its own, which says nothing
            self.model.train()
        self._own_time.add(step.waited)
        gradient, overflows = self.compute_gradient(step), 0
        taken = _TakenStep(number=self.progress.step, rate=rate, gradient=gradient, loaded=step)
        if gradient.is_known:
            _require_finite(self, taken)
        while not self.apply():
            overflows += 1
            _require_finite(self, taken)
            if overflows == _MAX_OVERFLOWS:
                raise _not_finite(self, taken)
            taken = replace(taken, gradient=self.compute_gradient(step))
        self.progress.step += 1
        if self.average is not None:
            self.average.update(self.progress.step)
        self.progress.evaluation_due = self.plan.evaluation_is_due(self.progress.step)
        self.settle()  # the step before
        self._unsettled = taken
        report = StepReport(
            **vars(self._position()),
            learning_rate=rate,
            features=len(step.features),
            tokens=int(step.lengths.sum()),
            flops=self.plan.flops.of_texts(step.lengths),
            overflows=overflows,
            seconds=time.perf_counter() - step.began,
            waited=step.waited,
        )
        return report.read_later(**taken.gradient.later())

    def settle(self) -> None:
        """Wait until it is known that all steps taken were sound.

        Raises:
            NotFiniteError: the loss or the gradient of the newest step was not finite; its weights are not to be used.

        """
        taken, self._unsettled = self._unsettled, None
        if taken is not None:
            _require_finite(self, taken)

    def averaged(self) -> AbstractContextManager[None]:
        """Return a context in which the model has the weights that are evaluated and saved as the model.

        Raises:
            NotFiniteError: see `settle`.

        """
        self.settle()
        return self.average.applied() if self.average is not None else nullcontext()

    def compute_gradient(self, step: LoadedStep) -> Gradient:
        """Put the step's gradient into the parameters, halving batches as often as needed and allowed.

        Raises:
            MemoryLimitError: see `steps`.

        """
        config = self.plan.config
        while True:
            self._seed_step()
            try:
                return compute_gradient(
                    self.accelerator,
                    self.model,
                    self.loss,
                    step.batches,
                    own_time=self._own_time,
                    features=len(step.features),
                    max_norm=config.max_gradient_norm,
                    exchange_apart=config.auto_batch_size and self.accelerator.num_processes > 1,
                )
            except MemoryLimitError as error:
                self.loader.halve(step, error)
            self.model.zero_grad()  # not the optimizer's, which accelerate leaves alone between a step's batches
            free_memory()  # after the error, which knows the frames that hold what did not fit

    def apply(self) -> bool:
        """Update the weights; return False if fp16's scaler found an overflow and skipped.

        The scale tells, not accelerate's own flag, which a fused optimizer never sets (accelerate #4242). Reading it
        waits for the device, so it is read once a step.
        """
        scaler = self.accelerator.scaler
        if scaler is not None and self._loss_scale is None:
            self._loss_scale = scaler.get_scale()
        try:
            self.optimizer.step()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise optimizer_memory_error(self.model.parameters()) from error
        self.optimizer.zero_grad(set_to_none=True)
        if scaler is None or self._loss_scale is None:
            return True
        before, self._loss_scale = self._loss_scale, scaler.get_scale()
        return self._loss_scale >= before

    def _position(self) -> StepPosition:
        step, plan = self.progress.step, self.plan
        return StepPosition(
            number=step,
            epoch=step / plan.steps_per_epoch,
            ends_epoch=plan.ends_epoch(step),
            evaluation_due=self.progress.evaluation_due,
            save_due=plan.save_is_due(step),
        )

    def _seed_step(self) -> None:
        """Make dropout a function of (seed, step, process), as the order of features is one of (seed, epoch).

        So neither an evaluation, nor a repeated step, nor a resumed run can change what is drawn.
        """
        entropy = np.random.SeedSequence([self.plan.seed, self.progress.step, self.accelerator.process_index])
        torch.manual_seed(int(entropy.generate_state(1, np.uint64)[0]))


def _require_finite(loop: TrainingLoop, taken: _TakenStep) -> None:
    """Stop all processes alike: loss and norm are the same on all. An infinite norm is the loss scaler's business.

    DeepSpeed does not tell the norm.
    """
    scaled = loop.accelerator.scaler is not None
    untold = loop.accelerator.distributed_type == DistributedType.DEEPSPEED
    gradient = taken.gradient
    if not math.isfinite(gradient.loss) or not (scaled or untold or math.isfinite(gradient.norm)):
        raise _not_finite(loop, taken)


def _not_finite(loop: TrainingLoop, taken: _TakenStep) -> NotFiniteError:
    rows = dict.fromkeys(loop.features.example[taken.features].tolist())
    ids = ", ".join(repr(loop.plan.ids[row]) for row in rows)
    return NotFiniteError(f"{taken}; process {loop.accelerator.process_index} worked on the examples {ids}")
