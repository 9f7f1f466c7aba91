"""Steps, one at a time; the caller decides what happens between them."""

import math
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from accelerate.utils import DistributedType
from torch import nn

from qa.errors import MemoryLimitError, NotFiniteError
from qa.features.labels import Labels
from qa.features.windows import Features
from qa.modeling.loss import SpanLoss
from qa.runtime.memory import free_memory, is_out_of_memory, optimizer_memory_error
from qa.training.averaging import WeightAverage
from qa.training.gradients import Gradient, compute_gradient
from qa.training.loading import LoadedStep, StepLoader
from qa.training.optimization import learning_rate, set_learning_rate
from qa.training.plan import TrainingPlan
from qa.training.progress import Progress, StepPosition, StepReport

_MAX_OVERFLOWS = 30  # in a row: from the scale that fp16 starts at down to far below one


class TrainingLoop:
    """Trains a model that accelerate prepared, from where `progress` stands to the end of the plan."""

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
            NotFiniteError: the loss or the gradient is not finite; the step has not been taken.
            MemoryLimitError: a batch does not fit into memory, and smaller ones do not help or are not allowed.

        """
        if self.progress.evaluation_due:
            yield StepReport(**vars(self._position()) | {"save_due": True}, trained=False)
        while not self.has_ended:
            for step in self.loader.remaining():
                if self.has_ended:
                    return
                yield self.step(step)

    def step(self, step: LoadedStep) -> StepReport:
        """Take one optimizer step; one whose fp16 gradient overflows is repeated with the smaller loss scale."""
        rate = learning_rate(
            self.progress.step,
            total=self.plan.total_steps,
            config=self.plan.config,
            start=self.progress.schedule_start,
        )
        set_learning_rate(self.optimizer, rate)
        self.model.train()
        gradient, overflows = self.compute_gradient(step), 0
        while not self.apply():
            overflows += 1
            if overflows == _MAX_OVERFLOWS:
                raise self._not_finite(gradient, step)
            gradient = self.compute_gradient(step)
        self.progress.step += 1
        if self.average is not None:
            self.average.update(self.progress.step)
        self.progress.evaluation_due = self.plan.evaluation_is_due(self.progress.step)
        return StepReport(
            **vars(self._position()),
            loss=gradient.loss,
            learning_rate=rate,
            gradient_norm=gradient.norm,
            features=len(step.features),
            tokens=int(step.lengths.sum()),
            padded_tokens=gradient.padded_tokens,
            flops=self.plan.flops.of_texts(step.lengths),
            overflows=overflows,
            seconds=time.perf_counter() - step.began,
        )

    def averaged(self) -> AbstractContextManager[None]:
        """Return a context in which the model has the weights that are evaluated and saved as the model."""
        return self.average.applied() if self.average is not None else nullcontext()

    def compute_gradient(self, step: LoadedStep) -> Gradient:
        """Put the step's gradient into the parameters, halving batches as often as needed and allowed.

        Raises:
            NotFiniteError: loss or gradient are not finite, on all processes alike.
            MemoryLimitError: see `steps`.

        """
        config = self.plan.config
        while True:
            self._seed_step()
            try:
                gradient = compute_gradient(
                    self.accelerator,
                    self.model,
                    self.loss,
                    step.batches,
                    features=len(step.features),
                    max_norm=config.max_gradient_norm,
                    exchange_apart=config.auto_batch_size and self.accelerator.num_processes > 1,
                )
            except MemoryLimitError as error:
                self.loader.halve(step, error)
                self.model.zero_grad()  # not the optimizer's, which accelerate leaves alone between a step's batches
                free_memory()
            else:
                self._require_finite(gradient, step)
                return gradient

    def apply(self) -> bool:
        """Update the weights; return False if fp16's scaler found an overflow and skipped.

        The scale tells, not accelerate's own flag, which a fused optimizer never sets (accelerate #4242).
        """
        scaler = self.accelerator.scaler
        before = scaler.get_scale() if scaler is not None else 1.0
        try:
            self.optimizer.step()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise optimizer_memory_error(self.model.parameters()) from error
        self.optimizer.zero_grad(set_to_none=True)
        return scaler is None or scaler.get_scale() >= before

    def create_optimizer_state(self) -> None:
        """Make an optimizer that creates its state in its first step create it, without a change of the weights.

        DeepSpeed's has no other way: a step at learning rate zero on a gradient of zero. Collective.
        """
        set_learning_rate(self.optimizer, 0.0)
        (step,) = self.loader.load(self.loader.epoch_steps(0)[:1])
        batch = step.batches[0]
        output = self.model(**batch.inputs)
        self.accelerator.sync_gradients = True
        self.accelerator.backward(0.0 * (output.start_logits.sum() + output.end_logits.sum()))
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

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

    def _require_finite(self, gradient: Gradient, step: LoadedStep) -> None:
        """Stop all processes alike: loss and norm are the same on all. An infinite norm is the loss scaler's business.

        DeepSpeed does not tell the norm.
        """
        scaled = self.accelerator.scaler is not None
        untold = self.accelerator.distributed_type == DistributedType.DEEPSPEED
        if not math.isfinite(gradient.loss) or not (scaled or untold or math.isfinite(gradient.norm)):
            raise self._not_finite(gradient, step)

    def _not_finite(self, gradient: Gradient, step: LoadedStep) -> NotFiniteError:
        features = np.concatenate([batch.feature.cpu().numpy() for batch in step.batches])
        rows = dict.fromkeys(self.features.example[features].tolist())
        ids = ", ".join(repr(self.plan.ids[row]) for row in rows)
        rate = self.optimizer.param_groups[0]["lr"]
        return NotFiniteError(
            f"step {self.progress.step}: loss {gradient.loss}, gradient norm {gradient.norm} at learning rate "
            f"{rate:g}; process {self.accelerator.process_index} worked on the examples {ids}"
        )
