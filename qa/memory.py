"""Batches that do not fit into memory: told from other failures, and found out by all processes together."""

import gc
from collections.abc import Iterable

import torch
from accelerate import Accelerator
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size
from torch import nn

from qa.errors import MemoryLimitError


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether `error` is an allocator's: torch's own classes, by accelerate's list of texts, or Python's."""
    known = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return known or (isinstance(error, Exception) and should_reduce_batch_size(error))


def memory_error(shape: tuple[int, int]) -> MemoryLimitError:
    """Return the error that says what did not fit and what to lower."""
    features, tokens = shape
    return MemoryLimitError(
        f"out of memory in a batch of {features} features × {tokens} tokens; wanted a smaller training.batch-size "
        "(with more training.accumulation-steps the steps stay the same; training.auto-batch-size does both), a "
        "smaller features.max-length, or training.gradient-checkpointing"
    )


def any_process(accelerator: Accelerator, fact: bool) -> bool:
    """Return whether `fact` holds on any process. Collective."""
    return bool(accelerator.gather(torch.tensor([int(fact)], device=accelerator.device)).any())


def average_gradients(accelerator: Accelerator, parameters: Iterable[nn.Parameter]) -> None:
    """Replace every gradient by its mean over the processes. Collective."""
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad = accelerator.reduce(parameter.grad, "mean")


def free_memory() -> None:
    """Give back what a failed pass left behind."""
    gc.collect()
    clear_device_cache()
