"""One step's features -> its exact gradient, however they are split over batches and processes."""

import contextlib
import math
from collections.abc import Callable, Sequence
from functools import cached_property

import torch
from accelerate import Accelerator
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from qa.errors import MemoryLimitError
from qa.features.collation import Batch
from qa.features.joining import by_feature
from qa.modeling.loss import SpanLoss
from qa.runtime.collectives import any_process, average_gradients
from qa.runtime.host_copy import HostCopy
from qa.runtime.memory import is_out_of_memory, memory_error
from qa.runtime.own_time import OwnTime


class Gradient:
    """What is known of a step's gradient, which itself is in the parameters; reading waits for the device."""

    def __init__(self, sums: Float[Tensor, "sum"], norm: Tensor | None) -> None:
        """Take loss, padded tokens and the seconds of every process, and the norm where the backend tells it."""
        self._told = norm is not None
        self._copy = HostCopy(sums if norm is None else torch.cat([sums, norm.to(sums).reshape(1)]))

    @property
    def is_known(self) -> bool:
        """Whether reading takes no waiting, on all processes alike."""
        return self._copy.is_here

    @cached_property
    def _values(self) -> list[float]:
        return self._copy.read()

    @property
    def loss(self) -> float:
        """Mean over the step's features."""
        return self._values[0]

    @property
    def padded_tokens(self) -> int:
        """Tokens of all batches, padding included."""
        return int(self._values[1])

    @property
    def norm(self) -> float:
        """Before clipping; NaN where the backend does not tell."""
        return self._values[-1] if self._told else math.nan

    @property
    def own_seconds(self) -> list[float]:
        """By process; see `OwnTime`."""
        return self._values[2:-1] if self._told else self._values[2:]

    def later(self) -> dict[str, Callable[[], float | list[float]]]:
        """Return functions that tell the numbers, by the names that a step's report has for them.

        They know nothing but these: a report that nobody reads yet would else hold the step's batches.
        """
        return {
            "loss": lambda: self.loss,
            "gradient_norm": lambda: self.norm,
            "padded_tokens": lambda: self.padded_tokens,
            "own_seconds": lambda: self.own_seconds,
        }


def compute_gradient(
    accelerator: Accelerator,
    model: nn.Module,
    loss: SpanLoss,
    batches: Sequence[Batch],
    *,
    own_time: OwnTime,
    features: int,
    max_norm: float | None,
    exchange_apart: bool,
) -> Gradient:
    """Add up the gradient of the mean loss over a step's features, and clip it. Collective.

    Args:
        accelerator: prepared `model`.
        model: where the gradient goes.
        loss: sum over the features of a batch.
        batches: this process's share of the step.
        own_time: what this process has counted since the last step; forward passes are added.
        features: of the whole step, over all processes.
        max_norm: largest norm; None: no clipping.
        exchange_apart: whether processes exchange gradients after all backward passes, not in the last one. A process
            that runs out of memory could not take part in an exchange, and the others would wait for it.

    Raises:
        MemoryLimitError: on all processes, where a batch does not fit on one and gradients are exchanged apart.

    """
    sums = _forward_backward(
        accelerator, model, loss, batches, own_time=own_time, features=features, exchange_apart=exchange_apart
    )
    return Gradient(sums, _clipped_norm(accelerator, model, max_norm))


def _forward_backward(
    accelerator: Accelerator,
    model: nn.Module,
    loss: SpanLoss,
    batches: Sequence[Batch],
    *,
    own_time: OwnTime,
    features: int,
    exchange_apart: bool,
) -> Float[Tensor, "sum"]:
    """Add up the gradient of the mean loss over the step's `features`; return that loss, the padded tokens, own times.

    Dividing by the true count of the whole step, not by each batch's, makes the gradient independent of how the step is
    cut. Backends average gradients over processes, hence the factor.
    """
    precise = torch.float64 if accelerator.device.type != "mps" else torch.float32  # Apple's GPUs have no float64
    summed = torch.zeros(2 + accelerator.num_processes, device=accelerator.device, dtype=precise)
    failed: MemoryLimitError | None = None
    for batch in batches:
        exchanges = batch is batches[-1] and not exchange_apart
        accelerator.sync_gradients = batch is batches[-1]
        try:
            with contextlib.nullcontext() if exchanges else accelerator.no_sync(model):
                summed[0] += _batch_gradient(accelerator, model, loss, batch, own_time=own_time, features=features)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            failed = memory_error(len(batch), batch.shape)
            break
        summed[1] += math.prod(batch.shape)
    if any_process(accelerator, failed is not None) if exchange_apart else failed is not None:
        largest = max(batches, key=lambda batch: math.prod(batch.shape))
        raise failed or memory_error(len(largest), largest.shape)
    if exchange_apart:
        average_gradients(accelerator, model.parameters())
    summed[2 + accelerator.process_index].fill_(own_time.take())  # an assignment copies from the host and waits
    total: Tensor = accelerator.reduce(summed, "sum")
    return total


def _batch_gradient(
    accelerator: Accelerator, model: nn.Module, loss: SpanLoss, batch: Batch, *, own_time: OwnTime, features: int
) -> Float[Tensor, ""]:
    """Add a batch's part to the gradient; return its part of the loss.

    Apart from its caller, whose frame outlives an error: so what a failed pass has computed is freed with it.
    """
    with own_time.measured():  # not the backward pass, in which processes exchange gradients
        output = model(**batch.inputs)
    start_logits, end_logits = (by_feature(values, batch) for values in (output.start_logits, output.end_logits))
    share = loss(start_logits, end_logits, batch) / features
    accelerator.backward(share * accelerator.num_processes)
    return share.detach()


def _clipped_norm(accelerator: Accelerator, model: nn.Module, max_norm: float | None) -> Tensor | None:
    """Clip the gradient; return its norm before, None where DeepSpeed, which clips by itself, does not tell."""
    norm = accelerator.clip_grad_norm_(model.parameters(), math.inf if max_norm is None else max_norm)
    if norm is None:
        return None
    return norm.full_tensor() if isinstance(norm, DTensor) else torch.as_tensor(norm)
