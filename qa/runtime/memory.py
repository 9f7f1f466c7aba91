"""Out-of-memory errors: told from others, named, and what they leave behind freed."""

import gc

import torch
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size

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


def free_memory() -> None:
    """Give back what a failed pass left behind."""
    gc.collect()
    clear_device_cache()
