"""Out-of-memory errors: told from others, named, and what they leave behind freed."""

import gc
from collections.abc import Iterable

import torch
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size
from torch import nn

from qa.errors import MemoryLimitError
from qa.runtime.cores import return_freed_memory

_OF_ONEDNN = ("could not create a primitive", "could not create a memory object")
"""What torch's CPU kernels say where oneDNN found no memory, without saying so."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether `error` is an allocator's: torch's own classes, by accelerate's list of texts, or Python's."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and (should_reduce_batch_size(error) or str(error).startswith(_OF_ONEDNN))


def memory_error(features: int, shape: tuple[int, int]) -> MemoryLimitError:
    """Return the error that says what did not fit, features in rows of tokens, and what to lower."""
    rows, tokens = shape
    found, length = f"{features} features × {tokens} tokens", "features.max-length"
    if rows != features:
        found, length = f"{features} features in {rows} rows of {tokens} tokens", "training.packed-length"
    return MemoryLimitError(
        f"out of memory in a batch of {found}; wanted a smaller training.batch-size (with more "
        "training.accumulation-steps the steps stay the same; training.auto-batch-size does both; CUDA graphs take "
        f"neither), a smaller {length}, or training.gradient-checkpointing"
    )


def optimizer_memory_error(parameters: Iterable[nn.Parameter]) -> MemoryLimitError:
    """Return the error that says what the optimizer's first step needed; smaller batches would not help."""
    size = sum(parameter.numel() * parameter.element_size() for parameter in parameters if parameter.requires_grad)
    return MemoryLimitError(
        f"out of memory in the optimizer's step: AdamW keeps two values for every parameter, {2 * size / 2**20:.0f} "
        "MiB here; wanted a smaller model, or FSDP or DeepSpeed that share them (accelerate_configs/fsdp2.yaml)"
    )


def evaluation_memory_error(batch_size: int) -> MemoryLimitError:
    """Return the error that says that an evaluation's batches do not fit."""
    return MemoryLimitError(
        f"out of memory in an evaluation with batches of up to {batch_size} features; wanted a smaller "
        "decoding.batch-size (training.auto-batch-size halves it), decoding.batch-tokens or features.max-length"
    )


def peak_memory(device: torch.device) -> dict[str, float]:
    """Return the most memory that this process has had on a CUDA device, in GiB, by the name it is logged under."""
    if device.type != "cuda":
        return {}
    return {"device_memory_gib": torch.cuda.max_memory_allocated(device) / 2**30}


def free_memory() -> None:
    """Free what a failed pass left behind."""
    gc.collect()
    clear_device_cache()
    return_freed_memory()
