"""What competes in the memory that an evaluation keeps: bytes a feature by which resident memory's peak grows."""

import ctypes
import itertools
import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from qa.config import DecodingConfig
from qa.decoding.spans import find_spans
from qa.features.collation import collate
from qa.features.windows import build_features
from qa.runtime.accelerator import make_accelerator
from tests.benchmarks import baselines
from tests.benchmarks import contestants as c

_BATCHES, _ROWS = 1500, 32


def ours_memory(setup: c.Setup) -> Iterator[float]:
    config = DecodingConfig()
    make_accelerator(trackers=(), folder=Path(tempfile.mkdtemp()), timeout=c.TIMEOUT)
    features = build_features(
        c.validation_rows(setup, setup.blocks).select(range(_ROWS)), c.minilm().tokenizer, c.WINDOW
    )
    batch = collate(features, np.arange(_ROWS), input_names=("input_ids",), pad_multiple=setup.window)
    model = c.Playback(random_logits(batch.shape))
    held = []  # all of it, so that no turn finds memory that an earlier one has freed
    for batches in _warmed_up():
        before = resident()
        held.append(find_spans(model, itertools.repeat(batch, batches), config, features=batches * _ROWS))
        yield (peak_resident() - before) / (batches * _ROWS)


def theirs_memory(setup: c.Setup) -> Iterator[float]:
    logits = random_logits((_ROWS, setup.window))
    held = []
    for batches in _warmed_up():
        before = resident()
        held.append([[values.numpy() for values in next(logits)] for _ in range(batches)])
        held.append([baselines.whole_logits(side, batches * _ROWS) for side in zip(*held[-1], strict=True)])
        yield (peak_resident() - before) / (batches * _ROWS)


def _warmed_up() -> Iterator[int]:
    return itertools.chain([3], itertools.repeat(_BATCHES))


def random_logits(shape):
    while True:
        yield torch.randn(shape), torch.randn(shape)


def resident() -> float:
    """Bytes resident now, without what is free; the peak begins here."""
    ctypes.CDLL(None).malloc_trim(0)  # else what was freed before would be filled first, and nothing would grow
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def peak_resident() -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
