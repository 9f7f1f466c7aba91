"""Errors of allocators: told from others, with what to lower."""

import gc
import weakref

import pytest
import torch

from qa.errors import MemoryLimitError
from qa.runtime.memory import (
    evaluation_memory_error,
    free_memory,
    is_out_of_memory,
    memory_error,
    optimizer_memory_error,
    peak_memory,
)


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (MemoryError(), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED."), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("CUDA out of memory."), False),
        (KeyboardInterrupt(), False),
    ],
)
def test_an_allocators_error_is_told_from_others(error, wanted):
    assert is_out_of_memory(error) is wanted


def test_a_batch_that_does_not_fit_is_named_with_what_to_lower():
    error = memory_error(12, (12, 384))
    assert isinstance(error, MemoryLimitError)
    assert "batch of 12 features × 384 tokens; wanted a smaller training.batch-size" in str(error)
    assert "batches of up to 32 features; wanted a smaller decoding.batch-size" in str(evaluation_memory_error(32))


def test_a_batch_of_packed_rows_is_told_with_what_makes_it_smaller():
    told = str(memory_error(16, (8, 512)))
    assert "batch of 16 features in 8 rows of 512 tokens; wanted a smaller training.batch-size" in told
    assert "a smaller training.packed-length" in told


def test_the_optimizer_needs_two_values_for_every_parameter_that_is_trained():
    frozen = torch.nn.Parameter(torch.zeros(1 << 20), requires_grad=False)
    trained = torch.nn.Parameter(torch.zeros(1 << 20))
    half = torch.nn.Parameter(torch.zeros(1 << 20, dtype=torch.float16))
    assert "parameter, 8 MiB here" in str(optimizer_memory_error([frozen, trained]))
    assert "parameter, 12 MiB here" in str(optimizer_memory_error([trained, half]))


def test_what_a_failed_pass_left_in_a_cycle_is_freed():
    class Node:
        pass

    node = Node()
    node.itself, gone = node, weakref.ref(node)
    gc.disable()
    try:
        del node
        assert gone() is not None
        free_memory()
        assert gone() is None
    finally:
        gc.enable()


def test_a_gpu_s_peak_is_told_in_gib_and_a_cpu_has_none(monkeypatch):
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _: 3 * 2**29)
    assert peak_memory(torch.device("cuda")) == {"device_memory_gib": 1.5}
    assert peak_memory(torch.device("cpu")) == {}
