"""How the cost of each stage grows with the data, and what two processes do against one.

    python -m tests.benchmarks.scaling --data FOLDER [--rows 2500] [--steps 5] [--output FOLDER]

Each stage does 1, 2, 4 and 8 times as much, three times in turns; the medians are divided by that of the smallest.
Two processes of one thread each share the machine that one process of two threads has for itself.
"""

import argparse
import contextlib
import dataclasses
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

from tests.benchmarks import contestants as c
from tests.benchmarks.contest import ROOT, Contestant

FACTORS = (1, 2, 4, 8)
TURNS = 3
STAGES = ("feature building", "training", "evaluation forward", "decoding + answers", "metrics")
_RATE = re.compile(r"([\d.]+) examples/s")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--data", required=True, help="folder with train.parquet and validation.parquet")
    parser.add_argument("--rows", type=int, default=2500, help="rows that features are built of at first")
    parser.add_argument("--steps", type=int, default=5, help="training steps at first")
    parser.add_argument("--output", type=Path, default=Path(), help="folder for scaling.md")
    options = parser.parse_args()
    smallest = c.Setup(data=options.data, rows=options.rows, steps=options.steps, forward_blocks=64, blocks=8)
    head = f"| stage | {' | '.join(f'{factor}×' for factor in FACTORS)} |\n|---|{'---|' * len(FACTORS)}"
    lines = [head] + [line(stage, growth(stage, smallest)) for stage in STAGES]
    rates = {processes: launched(options.data, processes) for processes in (1, 2)}
    shown = ", ".join(f"{processes}: {rate:.1f} examples/s" for processes, rate in rates.items())
    text = "\n".join([*lines, "", f"Training by processes: {shown}.", ""])
    (options.output / "scaling.md").write_text(text, encoding="utf-8")
    print(text)
    return 0


def growth(stage: str, smallest: c.Setup) -> list[float]:
    """Return the median seconds for 1, 2, 4 and 8 times the data."""
    setups = [
        dataclasses.replace(
            smallest,
            rows=smallest.rows * factor,
            steps=smallest.steps * factor,
            forward_blocks=smallest.forward_blocks // factor,
            blocks=smallest.blocks // factor,
        )
        for factor in FACTORS
    ]
    with contextlib.ExitStack() as stack:
        sides = [stack.enter_context(contextlib.closing(Contestant(stage, "ours", setup))) for setup in setups]
        turns = [[side.turn()["seconds"] for side in sides] for _ in range(TURNS)]
    return [statistics.median(seconds) for seconds in zip(*turns, strict=True)]


def line(stage: str, seconds: list[float]) -> str:
    shown = [f"{value:.2f} s ({value / seconds[0]:.1f})" for value in seconds]
    print(stage, shown, flush=True)
    return f"| {stage} | {' | '.join(shown)} |"


def launched(data: str, processes: int) -> float:
    """Return the examples a second that train_qa.py logs after its first interval, for the same global batch."""
    config = c.run_config(c.Setup(data=data))
    file = {1: "cpu.yaml", 2: "cpu_2_processes.yaml"}[processes]
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", f"accelerate_configs/{file}"]
    folders = ["--output-dir", str(config.output_dir / "run"), "--features.cache-dir", str(config.features.cache_dir)]
    flags = {
        "--train-data": config.train_data,
        "--max-train-examples": "2000",
        "--training.batch-size": str(c.BATCH // processes),
        "--training.max-steps": "30",
        "--training.evaluate-every": "0",
        "--training.save-every": "0",
        "--max-validation-examples": "8",
        "--tracking.report-to": "none",
    }
    arguments = [word for pair in flags.items() for word in pair]
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    finished = subprocess.run(
        [*command, "train_qa.py", *folders, *arguments],
        cwd=ROOT,
        env=environment,
        check=True,
        stderr=subprocess.PIPE,
        text=True,
    )
    rates = [float(rate) for rate in _RATE.findall(finished.stderr)]
    return statistics.median(rates[1:])


if __name__ == "__main__":
    sys.exit(main())
