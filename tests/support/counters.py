"""Counts what makes a host wait for a device, on a CPU too."""

import contextlib
from types import SimpleNamespace

import torch
from torch.utils._python_dispatch import TorchDispatchMode


@contextlib.contextmanager
def reads_counted():
    """Inside, count the tensors whose value becomes a number of Python, in `count`."""
    found = SimpleNamespace(count=0)

    class Counter(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, arguments=(), options=None):
            found.count += function is torch.ops.aten._local_scalar_dense.default
            return function(*arguments, **(options or {}))

    with Counter():
        yield found
