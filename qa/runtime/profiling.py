"""A profile of a few training steps, as a trace that Perfetto (https://ui.perfetto.dev) opens."""

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import torch
from torch.profiler import ProfilerActivity

Step = TypeVar("Step")

SKIPPED, RECORDED = 3, 3
"""Steps before the profile, in which kernels are chosen and memory is allocated, and steps in it."""


def profiled(steps: Iterable[Step], path: Path | None) -> Iterator[Step]:
    """Pass `steps` on; write the trace of a few after the first ones, and of what is done with them, to `path`.

    Without a path nothing is recorded.
    """
    if path is None:
        yield from steps
        return
    devices = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if torch.cuda.is_available() else [])]
    iterator = iter(steps)
    yield from itertools.islice(iterator, SKIPPED)
    with torch.profiler.profile(activities=devices) as profile:
        yield from itertools.islice(iterator, RECORDED)
    profile.export_chrome_trace(str(path))
    yield from iterator
