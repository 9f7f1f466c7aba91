"""Counts what makes a host wait for a device, on a CPU too."""

import contextlib
import warnings
from types import SimpleNamespace

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from qa.modeling.attention import mask_without_asking


@contextlib.contextmanager
def waits_counted():
    """Inside, count in `count` what would make the host wait for a GPU: numbers read from tensors or assigned to them.

    `values[0] = 1.0` makes a tensor on the host and copies it, for which a GPU is waited for; `values[0].fill_(1.0)`
    does not. `torch.tensor(1.0)` counts too, wherever it stays.
    """
    found = SimpleNamespace(count=0)

    class Counter(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, arguments=(), options=None):
            reads = function is torch.ops.aten._local_scalar_dense.default
            assigned = function is torch.ops.aten.lift_fresh.default and arguments[0].dim() == 0
            found.count += reads or assigned
            return function(*arguments, **(options or {}))

    with Counter():
        yield found


@contextlib.contextmanager
def masks_unasked():
    """Inside, attention masks are made as for a GPU, which is not asked whether there is padding."""
    mask_without_asking()
    try:
        yield
    finally:
        AttentionMaskInterface.register("sdpa", sdpa_mask)


@contextlib.contextmanager
def waits_forbidden():
    """Inside, let what makes the host wait for a CUDA device raise RuntimeError."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Synchronization debug mode is a prototype", UserWarning)
        torch.cuda.set_sync_debug_mode("error")
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode("default")
