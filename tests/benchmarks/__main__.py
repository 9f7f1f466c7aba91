"""Measure every stage against the classic recipe, write bench.json and bench.md, and print the table.

    python -m tests.benchmarks [--data FOLDER] [--model FOLDER] [--removed PYTHON] [--only WORD ...]
                               [--neighbours N] [--output FOLDER]

Exits with 1 when a ratio is under its bar, or a stage failed, after which the others are measured. Without data the
embedded set is measured; without a trained model, what 8-bit weights do to answers is not; without an environment that
has the removed pipeline, nothing is against it. With neighbours the machine is as busy as a shared one: the ratios then
say what threads lose that wait for one another.
"""

import argparse
import dataclasses
import json
import os
import platform
import sys
from importlib import metadata
from pathlib import Path

import torch

from tests.benchmarks.contest import Result, Stage, compete, neighbours
from tests.benchmarks.contestants import Setup
from tests.benchmarks.stages import STAGES

_OF_THE_TABLE = {"only", "neighbours", "output"}
"""Options that say nothing of what a contestant does."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--data", help="folder with train.parquet and validation.parquet")
    parser.add_argument("--model", help="folder of a trained model, such as a run's model/")
    parser.add_argument("--removed", help="interpreter of an environment with torch and transformers 5.2.0")
    parser.add_argument("--only", nargs="+", default=[""], help="stages whose names hold one of these words")
    parser.add_argument("--neighbours", type=int, default=0, help="processes that keep a core busy meanwhile")
    parser.add_argument("--output", type=Path, default=Path(), help="folder for bench.json and bench.md")
    parser.add_argument("--rows", type=int, default=Setup.rows, help="rows that features are built of")
    parser.add_argument("--steps", type=int, default=Setup.steps, help="training steps a turn")
    options = parser.parse_args()
    setup = Setup(**{name: value for name, value in vars(options).items() if name not in _OF_THE_TABLE})
    results, failed = [], []
    for stage in STAGES:
        if not any(word in stage.name for word in options.only):
            continue
        if wanted := missing(stage, options):
            print(f"left out, for want of {wanted}: {stage.name}", flush=True)
            continue
        try:
            with neighbours(options.neighbours):
                results.append(compete(stage, setup))
        except RuntimeError as error:  # the rows of hours stay, and the stages after it are measured
            failed.append(stage.name)
            print(f"failed: {stage.name}: {error}", flush=True)
            continue
        print(line(results[-1]), flush=True)
    write(results, options.output, source=options.data or "the embedded set", busy=options.neighbours)
    print("\n" + (options.output / "bench.md").read_text(encoding="utf-8"))
    if failed:
        print(f"failed: {', '.join(failed)}")
    return int(bool(failed) or any(result.ratio < result.bar for result in results))


def missing(stage: Stage, options: argparse.Namespace) -> str | None:
    """Return what a stage needs and is not there."""
    if stage.needs_model and options.model is None:
        return "--model"
    if stage.needs_removed and options.removed is None:
        return "--removed"
    if stage.precision == "bf16" and not multiplies_bf16():
        return "a CPU that multiplies bf16"
    return None


def multiplies_bf16() -> bool:
    able = torch.cpu.get_capabilities()
    return bool(able.get("amx_bf16") or able.get("avx512_bf16"))


def line(result: Result) -> str:
    ours, theirs = (figure(value) for value in (result.ours, result.theirs))
    under = "" if result.ratio >= result.bar else " **under**"
    cells = (result.stage, result.opponent, ours, theirs, result.unit, f"{result.ratio:.2f}×{under}", f"{result.bar}×")
    return f"| {' | '.join(cells)} |"


def figure(value: float) -> str:
    return f"{value:.2e}" if value >= 1e7 else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def write(results: list[Result], folder: Path, *, source: str, busy: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bench.json").write_text(json.dumps([dataclasses.asdict(result) for result in results], indent=2) + "\n")
    head = ["| stage | opponent | ours | theirs | unit | ratio | bar |", "|---|---|---|---|---|---|---|"]
    beside = f"; beside {busy} busy processes" if busy else ""
    text = "\n".join([f"{describe()}; data: {source}{beside}.", "", *head, *map(line, results), ""])
    (folder / "bench.md").write_text(text, encoding="utf-8")


def describe() -> str:
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "transformers", "accelerate"))
    return f"{processor()}, {os.cpu_count()} cores; Python {platform.python_version()}, {versions}, {torch_threads()}"


def torch_threads() -> str:
    return f"{torch.get_num_threads()} threads"


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((text.split(":")[1].strip() for text in lines if text.startswith("model name")), platform.machine())


if __name__ == "__main__":
    sys.exit(main())
