"""What the start of a run costs as its data grows: seconds and peak memory of loading examples and building features.

    python -m tests.benchmarks.start [--examples 100000 300000 1000000] [--processes 1 2] [--output FOLDER]

Every row is a new cache that its processes fill together, as the processes of a machine do, and then one that they find
full. "Own" memory is a process's anonymous pages at their peak, without the files that it maps, which all share; its
growth per example is measured between the smallest set and the largest.
"""

import argparse
import contextlib
import multiprocessing
import random
import resource
import shutil
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from qa.config import FeaturesConfig, RunConfig
from qa.data import load_training_examples
from qa.features import cached_features, cached_labels
from qa.features.windows import Encoder
from tests.support import tiny

_ROWS_AT_ONCE = 20_000
_WORDS = 25
"""Of a context; a question has eight. Two questions ask about each context."""
_ASK_SECONDS = 0.01
_MIB = 2**20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--examples", type=int, nargs="+", default=[100_000, 300_000, 1_000_000])
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--output", type=Path, default=Path(), help="folder for start.md")
    options = parser.parse_args()
    lines = ["| examples | processes | cache | stage | seconds | own MiB, peak |", "|---|---|---|---|---|---|"]
    peaks: dict[tuple[int, str, str], dict[int, float]] = defaultdict(dict)
    with tempfile.TemporaryDirectory() as folder:
        for count in options.examples:
            source = Path(folder) / f"{count}.parquet"
            write_examples(source, count)
            for processes in options.processes:
                cache = Path(folder) / "cache"
                for state in ("empty", "full"):
                    for stage, (seconds, peak) in slowest(started(source, cache, processes)).items():
                        peaks[processes, state, stage][count] = peak
                        cells = f"{count:,} | {processes} | {state} | {stage} | {seconds:.1f} | {peak:.0f}"
                        lines.append(f"| {cells} |")
                        print(lines[-1], flush=True)
                shutil.rmtree(cache)
            source.unlink()
    told = "\n".join([*lines, "", *growth(peaks), ""])
    (options.output / "start.md").write_text(told, encoding="utf-8")
    return 0


def growth(peaks: Mapping[tuple[int, str, str], Mapping[int, float]]) -> list[str]:
    """Return a table of what every further example costs, from peaks in MiB by number of examples."""
    lines = ["| processes | cache | stage | own bytes per further example |", "|---|---|---|---|"]
    for (processes, state, stage), by_count in peaks.items():
        few, many = min(by_count), max(by_count)
        if few < many:
            grown = (by_count[many] - by_count[few]) * _MIB / (many - few)
            lines.append(f"| {processes} | {state} | {stage} | {grown:.0f} |")
            print(lines[-1], flush=True)
    return lines


def write_examples(path: Path, count: int) -> None:
    """Write short examples with random words."""
    draw = random.Random(count)
    words = sorted({word for context in tiny.sample("train")["context"] for word in context.split()})
    with contextlib.ExitStack() as stack:
        writer = None
        for begin in range(0, count, _ROWS_AT_ONCE):
            ids = range(begin, min(begin + _ROWS_AT_ONCE, count))
            contexts = [" ".join(draw.choices(words, k=_WORDS)) for _ in ids[::2]]
            table = pa.Table.from_pylist([_row(draw, words, at, contexts[(at - begin) // 2]) for at in ids])
            writer = writer or stack.enter_context(pq.ParquetWriter(path, table.schema))
            writer.write_table(table)


def _row(draw: random.Random, words: list[str], at: int, context: str) -> dict[str, Any]:
    answer = draw.choice(context.split())
    return {
        "id": f"example-{at}",
        "question": f"{' '.join(draw.choices(words, k=8))}?",
        "context": context,
        "answers": {"text": [answer], "answer_start": [context.index(answer)]},
    }


Costs = dict[str, tuple[float, float]]
"""Seconds and MiB by stage."""


def started(source: Path, cache: Path, processes: int) -> list[Costs]:
    """Return what the start cost each of some processes that start together."""
    context = multiprocessing.get_context("spawn")
    barrier, queue = context.Barrier(processes), context.Queue()
    members = [context.Process(target=_start, args=(source, cache, barrier, queue)) for _ in range(processes)]
    for member in members:
        member.start()
    found = [queue.get() for _ in members]
    for member in members:
        member.join()
    return found


def slowest(found: list[Costs]) -> Costs:
    """Return the longest time and the largest memory of any process, by stage."""
    return {
        stage: (max(costs[stage][0] for costs in found), max(costs[stage][1] for costs in found)) for stage in found[0]
    }


def _start(source: Path, cache: Path, barrier: Barrier, queue: "multiprocessing.Queue[Costs]") -> None:
    features_config = FeaturesConfig(cache_dir=cache)
    config = RunConfig(train_data=str(source), validation_data=None, features=features_config)
    encoder, costs = Encoder.of(tiny.tokenizer()), Costs()
    barrier.wait()
    with _measured(costs, "examples"):
        examples = load_training_examples(config)
    with _measured(costs, "fingerprint"):
        _ = examples.fingerprint
    with _measured(costs, "features"):
        features = cached_features(examples, encoder, features_config)
    with _measured(costs, "labels"):
        cached_labels(examples, features, features_config)
    queue.put(costs)


@contextlib.contextmanager
def _measured(costs: Costs, stage: str) -> Iterator[None]:
    """Note seconds and peak memory of what is done inside."""
    peak, done = [_own_memory()], threading.Event()

    def watch() -> None:
        while not done.wait(_ASK_SECONDS):
            peak.append(_own_memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    begin = time.perf_counter()
    try:
        yield
    finally:
        seconds = time.perf_counter() - begin
        done.set()
        watcher.join()
        costs[stage] = seconds, max(peak) / _MIB


def _own_memory() -> int:
    """Return the bytes of this process's anonymous pages."""
    resident, shared = Path("/proc/self/statm").read_text(encoding="ascii").split()[1:3]
    return (int(resident) - int(shared)) * resource.getpagesize()


if __name__ == "__main__":
    sys.exit(main())
