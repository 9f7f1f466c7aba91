"""The batches of every step; smaller ones when memory runs out."""

import itertools
import logging
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from qa.checks import require
from qa.errors import MemoryLimitError
from qa.features.collation import Batch, padding_multiple
from qa.features.labels import Labels
from qa.features.loader import batch_loader
from qa.features.order import BatchSplit, epoch_order, micro_batches
from qa.features.packing import packed_rows
from qa.features.sampling import short_windows
from qa.features.windows import Features
from qa.training.plan import TrainingPlan
from qa.training.progress import Progress

log = logging.getLogger(__name__)


@dataclass(eq=False, kw_only=True)
class LoadedStep:
    """The features of one optimizer step, and this process's share of them as batches."""

    features: np.ndarray
    """Indices, over all processes."""
    lengths: np.ndarray
    """Tokens of these features, padding aside."""
    batches: list[Batch]
    began: float
    """When loading began, in seconds of `time.perf_counter`."""
    waited: float
    """Seconds until this process had its batches."""


@dataclass(frozen=True, kw_only=True)
class StepLoader:
    """Loads the steps of a run, in an order that is a function of seed and step alone."""

    features: Features
    labels: Labels
    plan: TrainingPlan
    progress: Progress
    device: torch.device
    _short: dict[int, tuple[Features, Labels]] = field(default_factory=dict)
    """The short windows of one epoch."""

    def epoch_steps(self, epoch: int) -> list[np.ndarray]:
        """Return the features of every step of an epoch."""
        plan = self.plan
        lengths = self.windows_at(epoch * plan.steps_per_epoch)[0].lengths
        mixed = plan.packing is not None
        return epoch_order(lengths, seed=plan.seed, epoch=epoch, steps=plan.steps_per_epoch, mixed=mixed)

    def windows_at(self, step: int) -> tuple[Features, Labels]:
        """Return the windows that a step is trained on: short ones in the first part of the run."""
        if step >= self.plan.short_steps:
            return self.features, self.labels
        return self._short_windows(step // self.plan.steps_per_epoch)

    def _short_windows(self, epoch: int) -> tuple[Features, Labels]:
        if epoch not in self._short:
            length, seed = self.plan.recipe.short_length, self.plan.seed
            self._short.clear()
            self._short[epoch] = short_windows(self.features, self.labels, max_length=length, seed=seed, epoch=epoch)
        return self._short[epoch]

    def remaining(self) -> Iterator[LoadedStep]:
        """Load the steps from where the progress stands to the end of its epoch, or of the run."""
        epoch, done = divmod(self.progress.step, self.plan.steps_per_epoch)
        left = self.plan.total_steps - self.progress.step
        steps = self.epoch_steps(epoch)[done : done + left]
        short = max(self.plan.short_steps - self.progress.step, 0)
        yield from self._loaded(steps[:short])
        yield from self._loaded(steps[short:])

    def load(self, steps: Sequence[np.ndarray]) -> Iterator[LoadedStep]:
        """Load the next steps, of the given features, with batches as large as memory is known to hold."""
        split, (features, labels) = self.split, self.windows_at(self.progress.step)
        shares = [part for step in steps for part in micro_batches(step, split)]
        loader = batch_loader(
            features,
            shares,
            labels=labels,
            input_names=self.plan.input_names,
            pad_multiple=padding_multiple(compiled=self.plan.config.compile),
            packing=self.plan.packing,
            device=self.device,
        )
        for step in steps:
            began = time.perf_counter()
            batches = list(itertools.islice(loader, split.accumulation_steps))
            yield LoadedStep(
                features=step,
                lengths=features.lengths_of(step),
                batches=batches,
                began=began,
                waited=time.perf_counter() - began,
            )

    @property
    def split(self) -> BatchSplit:
        """The plan's, with the batches halved as often as memory demands."""
        split, factor = self.plan.split, 1
        while math.ceil(split.batch_size / factor) > (self.progress.batch_limit or split.batch_size):
            factor *= 2
        return replace(
            split,
            accumulation_steps=split.accumulation_steps * factor,
            batch_size=math.ceil(split.batch_size / factor),
        )

    def require_whole_steps(self) -> None:
        """Check that no batches of a step are added up where CUDA graphs are replayed; see `TrainingConfig`.

        Raises:
            ConfigError: memory held no whole step before.

        """
        mode, limit = self.plan.config.compile_mode, self.progress.batch_limit
        whole = self.split.accumulation_steps == 1
        wanted = f"default: memory held no more than {limit} features of a batch before, and parts of a step add up"
        require(mode == "default" or whole, "training.compile_mode", mode, wanted)

    def halve(self, step: LoadedStep, error: MemoryLimitError) -> None:
        """Cut the batches of this and all later steps in half, where the configuration allows it.

        Not accelerate's `find_executable_batch_size`: that starts its function over, here one step is repeated.

        Raises:
            MemoryLimitError: `error`, where batches may not be cut, are of single features already, or of as few rows
                as packed ones can be.

        """
        smallest = len(self.features) // self.plan.steps_per_epoch
        if not self.plan.config.auto_batch_size or smallest < 2 * self.split.micro_batches or self._is_flat(step):
            raise error
        log.warning("step %d: %s; going on with halved batches", self.progress.step, error)
        self.progress.batch_limit = math.ceil(self.split.batch_size / 2)
        (smaller,) = self.load([step.features])
        step.batches = smaller.batches

    def _is_flat(self, step: LoadedStep) -> bool:
        """Return whether no process has a batch of more rows than its half would have; the same on all."""
        packing = self.plan.packing
        if packing is None:
            return False
        batches = np.array_split(step.lengths, self.split.micro_batches)
        return all(packed_rows(lengths, packing) == packing.row_multiple for lengths in batches)

    def _loaded(self, steps: Sequence[np.ndarray]) -> Iterator[LoadedStep]:
        """Load steps; the rest anew where the batches were halved meanwhile."""
        at = 0
        while at < len(steps):
            limit = self.progress.batch_limit
            for step in self.load(steps[at:]):
                yield step
                at += 1
                if self.progress.batch_limit != limit:
                    break
