"""Features → batches: the order of features as a pure function of (seed, epoch), length groups, and collation.

The order is planned for all processes together. An *update* is the set of features of one optimizer step; it is cut
into `processes × accumulation steps` micro-batches, so that any split of the same global batch trains on the same
features.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from qa.errors import ConfigError
from qa.features import Features
from qa.labels import NO_LABEL

PAD_MULTIPLE = 8
"""Padded lengths are multiples of this: what matrix units are fast at."""
COMPILED_PAD_MULTIPLE = 64
"""The same when compiling: few shapes, since each is compiled for itself."""
_CPU_TOKENS = 1536  # of a batch in evaluation
_GROUPED_UPDATES = 100  # updates sorted by length together: enough for little padding, few enough to stay random


# --- order ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Split:
    """Which share of every update this process has."""

    process: int
    processes: int
    accumulation_steps: int
    batch_size: int

    @property
    def micro_batches(self) -> int:
        """Forward passes of one update, over all processes."""
        return self.processes * self.accumulation_steps

    @property
    def global_batch(self) -> int:
        """Features of one update, over all processes."""
        return self.micro_batches * self.batch_size


def updates_per_epoch(features: int, split: Split) -> int:
    """Return the number of optimizer steps of one pass over `features`.

    No micro-batch may be empty, so that with batches of one feature a few hold two.

    Raises:
        ConfigError: fewer features than micro-batches of one update.

    """
    if features < split.micro_batches:
        raise ConfigError(
            f"{features} training features; wanted at least {split.micro_batches}, one for each of "
            f"{split.processes} processes × {split.accumulation_steps} accumulation steps"
        )
    return min(-(-features // split.global_batch), features // split.micro_batches)


def epoch_order(lengths: Int[np.ndarray, "feature"], *, seed: int, epoch: int, updates: int) -> list[np.ndarray]:
    """Return the features of every update of an epoch, each sorted from long to short.

    Features are shuffled, sorted by length within groups of updates, cut into updates whose sizes differ by at most one
    (so that no update is small), and the updates are shuffled: batches have little padding and random content.
    """
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(lengths))
    sizes = np.array([len(part) for part in np.array_split(order, updates)])
    borders = np.concatenate([[0], np.cumsum(sizes)])
    for begin in range(0, updates, _GROUPED_UPDATES):
        group = slice(borders[begin], borders[min(begin + _GROUPED_UPDATES, updates)])
        order[group] = order[group][np.argsort(-lengths[order[group]], kind="stable")]
    cut = np.split(order, borders[1:-1])
    return [cut[at] for at in random.permutation(updates)]


def micro_batches(update: Int[np.ndarray, "feature"], split: Split) -> list[np.ndarray]:
    """Return the part of an update that `split.process` handles, one array an accumulation step.

    Neighbours in length go to the processes of the same step, so that no process waits for another's longer batch.
    """
    return np.array_split(update, split.micro_batches)[split.process :: split.processes]


def evaluation_batches(lengths: Int[np.ndarray, "feature"], batch_size: int, device: torch.device) -> list[np.ndarray]:
    """Cut all features into batches of like lengths, long ones first, the same for any number of processes.

    On a CPU batches hold fifteen hundred tokens: of more, what passes from layer to layer leaves the cache (measured
    for MiniLM: batches of 32 features take a fifth more time); of fewer, bf16 does not reach its rate.

    Args:
        lengths: tokens of each feature.
        batch_size: most features of a batch.
        device: where the model runs.

    """
    order = np.argsort(-lengths, kind="stable")
    batches = []
    begin = 0
    while begin < len(order):
        fitting = max(1, _CPU_TOKENS // int(lengths[order[begin]])) if device.type == "cpu" else batch_size
        batches.append(order[begin : begin + min(batch_size, fitting)])
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


# --- collation --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, kw_only=True)
class Batch:
    """Features as tensors.

    `inputs` are what the model's `forward` takes, `[feature, token]`. Label positions count tokens of the padded row;
    they are the null position where the window does not hold the answer.
    """

    inputs: dict[str, Tensor]
    feature: Int[Tensor, "feature"]
    in_context: Bool[Tensor, "feature token"]
    context_begin: Int[Tensor, "feature"]
    null_position: Int[Tensor, "feature"]
    label_first: Int[Tensor, "feature"]
    label_last: Int[Tensor, "feature"]
    tokens: int
    """Tokens that are not padding."""

    def __len__(self) -> int:
        return len(self.feature)

    @property
    def shape(self) -> tuple[int, int]:
        """Features and tokens, padding included."""
        features, tokens = self.in_context.shape
        return features, tokens

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on `device`; from pinned memory the copy does not wait."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> "Batch":
        """Return the batch in page-locked memory; the data loader calls this."""
        return self._each(Tensor.pin_memory)

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        changed: dict[str, Any] = {
            name: change(value) for name, value in vars(self).items() if isinstance(value, Tensor)
        }
        inputs = {name: change(tensor) for name, tensor in self.inputs.items()}
        return replace(self, inputs=inputs, **changed)


def collate(
    features: Features, indices: Int[np.ndarray, "feature"], *, input_names: Sequence[str], pad_multiple: int
) -> Batch:
    """Join question, context window and special tokens of `indices` into padded tensors.

    Args:
        features: where the tokens are.
        indices: which features.
        input_names: of `input_ids`, `attention_mask` and `token_type_ids`, those that the model takes.
        pad_multiple: the padded length is a multiple of this.

    """
    layout = features.layout
    lengths = features.lengths_of(indices)
    shape = len(indices), -(-int(lengths.max()) // pad_multiple) * pad_multiple
    ids = np.full(shape, layout.pad_id, dtype=np.int64)
    types = np.full(shape, layout.pad_type, dtype=np.int64)
    begin = shape[1] - lengths if layout.pad_left else np.zeros_like(lengths)
    context_begin = np.empty(len(indices), dtype=np.int64)
    for row, index in enumerate(indices.tolist()):
        stretch = slice(begin[row], begin[row] + lengths[row])
        ids[row, stretch], types[row, stretch], context_begin[row] = features.row(index)
    context_begin += begin
    columns = np.arange(shape[1])
    end = begin + lengths
    context_end = context_begin + features.size[indices]
    null = np.where(layout.null_position < 0, end, begin) + layout.null_position
    label_first, label_last = features.label_first[indices], features.label_last[indices]
    inputs = {
        "input_ids": ids,
        "token_type_ids": types,
        "attention_mask": _between(columns, begin, end).astype(np.int64),
    }
    return Batch(
        inputs={name: torch.from_numpy(inputs[name]) for name in input_names},
        feature=torch.from_numpy(np.asarray(indices, dtype=np.int64)),
        in_context=torch.from_numpy(_between(columns, context_begin, context_end)),
        context_begin=torch.from_numpy(context_begin),
        null_position=torch.from_numpy(null),
        label_first=torch.from_numpy(np.where(label_first == NO_LABEL, null, context_begin + label_first)),
        label_last=torch.from_numpy(np.where(label_last == NO_LABEL, null, context_begin + label_last)),
        tokens=int(lengths.sum()),
    )


def _between(
    columns: Int[np.ndarray, "token"], begin: Int[np.ndarray, "feature"], end: Int[np.ndarray, "feature"]
) -> Bool[np.ndarray, "feature token"]:
    return (columns >= begin[:, None]) & (columns < end[:, None])


# --- loading ----------------------------------------------------------------------------------------------------


class _CollatedFeatures(Dataset[Batch]):
    """Gives the data loader whole batches, which is one call instead of one a feature."""

    def __init__(self, features: Features, input_names: Sequence[str], pad_multiple: int) -> None:
        self.features, self.input_names, self.pad_multiple = features, input_names, pad_multiple

    def __getitem__(self, indices: Int[np.ndarray, "feature"]) -> Batch:
        return collate(self.features, indices, input_names=self.input_names, pad_multiple=self.pad_multiple)


def padding_multiple(*, compiled: bool) -> int:
    """Return what padded lengths are to be multiples of for a model that is compiled, or is not."""
    return COMPILED_PAD_MULTIPLE if compiled else PAD_MULTIPLE


def batch_loader(
    features: Features,
    batches: Sequence[np.ndarray],
    *,
    input_names: Sequence[str],
    pad_multiple: int = PAD_MULTIPLE,
    device: torch.device,
) -> Iterator[Batch]:
    """Iterate over `batches` of feature indices as collated batches on `device`.

    No worker processes: joining integers takes a fraction of a millisecond a batch, less than passing it between
    processes. Copies to a device are from page-locked memory and do not wait.
    """
    loader = DataLoader(
        _CollatedFeatures(features, input_names, pad_multiple),
        sampler=batches,
        batch_size=None,
        pin_memory=device.type == "cuda",
        generator=torch.Generator(),  # else the loader draws from the generator that dropout depends on
    )
    return (batch.to(device) for batch in loader)
