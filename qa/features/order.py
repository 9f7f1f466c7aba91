"""Which features form which batch: a function of (seed, epoch).

The order is planned for all processes together. The features of one optimizer step are cut into `processes ×
accumulation steps` micro-batches, so that any split of the same global batch trains on the same features.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from qa.errors import ConfigError

_CPU_TOKENS = 1536  # of a batch in evaluation
_GPU_TOKENS = 32_768  # the same: enough for every GPU's full rate, and for any model that can be trained on it
_GROUPED_STEPS = 100  # steps sorted by length together: enough for little padding, few enough to stay random


@dataclass(frozen=True, kw_only=True)
class BatchSplit:
    """Which share of every step this process has."""

    process: int
    processes: int
    accumulation_steps: int
    batch_size: int

    @property
    def micro_batches(self) -> int:
        """Forward passes of one step, over all processes."""
        return self.processes * self.accumulation_steps

    @property
    def global_batch(self) -> int:
        """Features of one step, over all processes."""
        return self.micro_batches * self.batch_size


def steps_per_epoch(features: int, split: BatchSplit) -> int:
    """Return the number of optimizer steps of one pass over `features`.

    No micro-batch may be empty, so that with batches of one feature a few hold two.

    Raises:
        ConfigError: fewer features than micro-batches of one step.

    """
    if features < split.micro_batches:
        raise ConfigError(
            f"{features} training features; wanted at least {split.micro_batches}, one for each of "
            f"{split.processes} processes × {split.accumulation_steps} accumulation steps"
        )
    return min(-(-features // split.global_batch), features // split.micro_batches)


def epoch_order(
    lengths: Int[np.ndarray, "feature"], *, seed: int, epoch: int, steps: int, mixed: bool = False
) -> list[np.ndarray]:
    """Return the features of every step of an epoch.

    Features are shuffled, sorted by length within groups of steps, cut into steps whose sizes differ by at most one (so
    that none is small), and the steps are shuffled: batches have little padding and random content, and each step goes
    from long to short. With `mixed` nothing is sorted: features of all lengths fill packed rows best.
    """
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(lengths))
    if mixed:
        return np.array_split(order, steps)
    sizes = np.array([len(part) for part in np.array_split(order, steps)])
    borders = np.concatenate([[0], np.cumsum(sizes)])
    for begin in range(0, steps, _GROUPED_STEPS):
        group = slice(borders[begin], borders[min(begin + _GROUPED_STEPS, steps)])
        order[group] = order[group][np.argsort(-lengths[order[group]], kind="stable")]
    cut = np.split(order, borders[1:-1])
    return [cut[at] for at in random.permutation(steps)]


def micro_batches(step: Int[np.ndarray, "feature"], split: BatchSplit) -> list[np.ndarray]:
    """Return the part of a step's features that `split.process` handles, one array per forward pass.

    Neighbours, of like length where steps are sorted, go to the processes of the same pass, so that no process waits
    for another's longer batch.
    """
    return np.array_split(step, split.micro_batches)[split.process :: split.processes]


def evaluation_batches(
    lengths: Int[np.ndarray, "feature"],
    batch_size: int | None,
    device: str,
    *,
    tokens: int | None = None,
    cpu_tokens: int = _CPU_TOKENS,
    mixed: bool = False,
) -> list[np.ndarray]:
    """Cut all features into batches of like lengths, long ones first, the same for any number of processes.

    Batches hold as many tokens as a device works on at its full rate. On a CPU that is fifteen hundred: of more, what
    passes from layer to layer leaves the cache (measured for MiniLM: batches of 32 features take a fifth more time); of
    fewer, bf16 does not reach its rate.

    Args:
        lengths: tokens of each feature.
        batch_size: most features of a batch; None: no limit.
        device: kind of the device where the model runs, such as "cpu".
        tokens: of a batch, unless one feature has more; None: what is right for the device.
        cpu_tokens: what is right for a CPU.
        mixed: for packed rows, which have no padding: features of all lengths together, in their own order.

    """
    limit = tokens or (cpu_tokens if device == "cpu" else _GPU_TOKENS)
    order = np.arange(len(lengths)) if mixed else np.argsort(-lengths, kind="stable")
    ends = np.cumsum(lengths[order])
    batches = []
    begin = 0
    while begin < len(order):
        first = int(lengths[order[begin]])  # where they are sorted, the longest
        within = np.searchsorted(ends, ends[begin] - first + limit, side="right") - begin
        fitting = max(1, int(within) if mixed else limit // first)
        batches.append(order[begin : begin + min(batch_size or fitting, fitting)])
        begin += len(batches[-1])
    return batches


def share_of_batches(batches: Sequence[np.ndarray], *, process: int, processes: int) -> tuple[list[np.ndarray], int]:
    """Deal batches to processes in turn; every process gets the same number, filled up with repeats.

    Returns:
        The batches of `process`, and how many of them (the first ones) are its own and not repeats.

    """
    own = list(batches[process::processes])
    rounds = -(-len(batches) // processes)
    return own + [batches[-1]] * (rounds - len(own)), len(own)
