"""How many steps an epoch and a run have, and when a run evaluates and saves."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from accelerate import Accelerator
from accelerate.utils import DistributedType

from qa.config import RecipeConfig, RunConfig, TrainingConfig
from qa.data.examples import Examples
from qa.errors import ConfigError
from qa.features.order import BatchSplit, steps_per_epoch
from qa.features.packing import Packing
from qa.features.windows import Features
from qa.modeling.fingerprint import model_settings, weights_fingerprint
from qa.modeling.reader import Reader
from qa.runtime.collectives import require_same
from qa.training.averaging import tail_start
from qa.training.optimization import has_same_rates
from qa.training.throughput import TrainingFlops

_WHOLE_MODELS = (DistributedType.NO, DistributedType.MULTI_CPU, DistributedType.MULTI_GPU)


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """What follows from examples, features, reader, processes and settings before the first step."""

    config: TrainingConfig
    recipe: RecipeConfig
    seed: int
    split: BatchSplit
    steps_per_epoch: int
    total_steps: int
    evaluates: bool
    """Whether there is something to evaluate on."""
    has_impossible: bool
    """Whether some training example has no answer."""
    ids: Sequence[str]
    """Of the training examples, for error messages."""
    input_names: Sequence[str]
    """What the model takes."""
    weights_fingerprint: str = ""
    """Hash of the weights before the first step."""
    model_settings: Mapping[str, Any] = field(default_factory=dict)
    """The model's configuration."""
    flops: TrainingFlops = field(default_factory=TrainingFlops)
    """What a feature costs, for the reports."""

    @property
    def packing(self) -> Packing | None:
        """How features are packed into rows; None: they are not."""
        return Packing.of(self.config)

    @property
    def short_steps(self) -> int:
        """First steps, which are trained on short windows."""
        return math.ceil(self.recipe.short_windows * self.total_steps)

    @property
    def untailed_steps(self) -> int:
        """First steps, which an average of the last part leaves out; 0 with any other."""
        tailed = self.recipe.averaging == "tail"
        return tail_start(self.total_steps, self.recipe) if tailed else 0

    def changed_course(self, done: int, total: int, *, start: int) -> list[str]:
        """Return what of the first `done` steps is not as in a run of `total` steps; `start`: see `learning_rate`."""
        other = replace(self, total_steps=total)
        changed = {
            "the learning rate": not has_same_rates(done, (total, self.total_steps), start=start, config=self.config),
            "the steps on short windows": min(done, self.short_steps) != min(done, other.short_steps),
            "the steps that are averaged": min(done, self.untailed_steps) != min(done, other.untailed_steps),
        }
        return [name for name, differs in changed.items() if differs]

    def ends_epoch(self, step: int) -> bool:
        """Return whether an epoch is over when `step` optimizer steps are done."""
        return step % self.steps_per_epoch == 0

    def evaluation_is_due(self, step: int) -> bool:
        """Return whether the run evaluates when `step` optimizer steps are done."""
        return self.evaluates and (step >= self.total_steps or self._is_due(self.config.evaluate_every, step))

    def save_is_due(self, step: int) -> bool:
        """Return whether the run saves when `step` optimizer steps are done; at its end it saves in any case."""
        return self._is_due(self.config.save_every, step)

    def _is_due(self, every: int | None, step: int) -> bool:
        """Return whether what happens every so many steps (None: after each epoch; 0: never) happens after `step`."""
        return self.ends_epoch(step) if every is None else every > 0 and step % every == 0


def plan_training(
    accelerator: Accelerator, reader: Reader, examples: Examples, features: Features, config: RunConfig
) -> TrainingPlan:
    """Plan the run; the reader's model must be as it was loaded, since a wrapped one cannot be counted. Collective.

    Raises:
        ConfigError: fewer features than forward passes of one step, or batches of a size that cannot be halved.
        LaunchError: processes with different examples or models.

    """
    training, weights = config.training, weights_fingerprint(reader.model)
    require_same(
        accelerator,
        {"fingerprint of the train data": examples.fingerprint, "hash of the model's weights": weights},
    )
    if training.auto_batch_size and accelerator.distributed_type not in _WHOLE_MODELS:
        kind = accelerator.distributed_type.value
        raise ConfigError(f"training.auto-batch-size under {kind}; wanted one process, or whole models on each (DDP)")
    split = BatchSplit(
        process=accelerator.process_index,
        processes=accelerator.num_processes,
        accumulation_steps=training.accumulation_steps,
        batch_size=training.batch_size,
    )
    per_epoch = steps_per_epoch(len(features), split)
    return TrainingPlan(
        config=training,
        recipe=config.recipe,
        seed=config.seed,
        split=split,
        steps_per_epoch=per_epoch,
        total_steps=training.max_steps if training.max_steps is not None else math.ceil(training.epochs * per_epoch),
        evaluates=config.validation_data is not None,
        has_impossible=examples.has_impossible,
        ids=examples.rows["id"],
        input_names=reader.input_names,
        weights_fingerprint=weights,
        model_settings=model_settings(reader.model),
        flops=TrainingFlops.of(reader.model, longest=config.features.max_length),
    )
