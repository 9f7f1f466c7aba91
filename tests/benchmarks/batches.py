"""What competes in making batches, and in answering files with several processes."""

import itertools
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch

from qa.features.collation import Batch, collate
from qa.features.joining import PAD_MULTIPLE
from qa.features.labels import build_labels
from qa.features.prefetching import made_ahead
from qa.features.windows import build_features
from qa.files import write_json
from tests.benchmarks import baselines
from tests.benchmarks import contestants as c
from tests.benchmarks.contest import ROOT

BATCH = 32
STEP = 0.00128
"""Seconds that a device works on a batch while the host could make the next one: 25,000 features a second, what the
fastest cards are to take of a small model."""


def ours_collation(setup: c.Setup) -> Iterator[float]:
    """Batches with labels, in random order, on one thread."""
    make_batch, count = maker(setup)
    while True:
        for indices in drawn(count):
            make_batch(indices)
        yield count


def theirs_collation(setup: c.Setup) -> Iterator[float]:
    rows, tokenizer = c.columns(c.training_rows(setup)), c.minilm().tokenizer
    windows = baselines.features(rows, tokenizer)
    while True:
        for _ in baselines.loader(windows, tokenizer, batch_size=BATCH, shuffle=True, labels=True):
            pass
        yield len(windows)


def stepped(setup: c.Setup, *, ahead: bool) -> Iterator[float]:
    """Batches for a device that works on each, made ahead in a thread or when they are asked for."""
    make_batch, count = maker(setup)
    while True:
        batches = map(make_batch, drawn(count))
        for _ in made_ahead(batches) if ahead else batches:
            time.sleep(STEP)
        yield count


def maker(setup: c.Setup):
    """Return what makes a batch of features, and their number."""
    torch.set_num_threads(1)
    rows, reader = c.training_rows(setup), c.minilm()
    features = build_features(rows, reader.tokenizer, c.WINDOW)
    labels = build_labels(rows, features)
    return partial(batch_of, features, labels, reader.input_names), len(features)


def batch_of(features, labels, input_names, indices) -> Batch:
    return collate(features, indices, input_names=input_names, pad_multiple=PAD_MULTIPLE, labels=labels)


def drawn(count: int) -> list[np.ndarray]:
    order = np.random.default_rng(0).permutation(count)
    return [order[begin : begin + BATCH] for begin in range(0, count, BATCH)]


def predicted(setup: c.Setup, *, processes: int) -> Iterator[float]:
    """`qa predict` from start to end; two processes of one thread each share the cores that one has for itself."""
    folder = Path(tempfile.mkdtemp(prefix="qa-benchmark-"))
    reader = c.minilm()
    for part in (reader.model, reader.tokenizer):
        part.save_pretrained(folder / "reader")  # with its head, which is drawn: readers without one are refused
    rows = c.validation_rows(setup, 1).select(range(setup.predicted))
    write_json(folder / "rows.json", [{name: row[name] for name in ("id", "question", "context")} for row in rows])
    file = {1: "cpu.yaml", 2: "cpu_2_processes.yaml"}[processes]
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", f"accelerate_configs/{file}"]
    for turn in itertools.count():
        job = ["predict", str(folder / "reader"), str(folder / "rows.json"), str(folder / f"{turn}.jsonl")]
        subprocess.run([*launcher, "-m", "qa", *job], cwd=ROOT, check=True)
        yield len(rows)
