"""Time from start to F1 60 on the SQuAD dev set: `train_qa.py` against the no-Trainer script, each in its own process.

    python -m tests.benchmarks.time_to_f1 --data FOLDER [--examples 5000] [--rates 1e-4 2e-4 4e-4] [--precision bf16]

The job: load, build features, train one epoch on so many examples (linear schedule, 10 % warm-up, batch 16), answer
and score the whole dev set. For both the learning rate is the best of several on a quarter of the examples, scored on
1,000 of the dev set; the bar is on the ratio of the wall times of the whole job. Exits with 1 if a side does not
reach the score or ours is not 3 times faster.
"""

import argparse
import dataclasses
import json
import subprocess
import sys
import time
from pathlib import Path

import datasets
import torch

from qa.data import load_training_examples, load_validation_examples
from tests.benchmarks import baselines
from tests.benchmarks import contestants as c
from tests.benchmarks.contest import ROOT

WANTED_F1, BAR = 60.0, 3.0
TUNED_ON, SCORED_ON = 4, 1000
"""To find the learning rate: a fraction of the examples, and so many of the dev set."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """What a side has to do."""

    data: str | None
    examples: int
    learning_rate: float
    scored: int | None = None
    """Examples of the dev set; None: all."""
    precision: str = "no"
    """Mixed precision; the same for both sides."""

    @property
    def config(self):
        changes = {"max_train_examples": self.examples, "max_validation_examples": self.scored}
        return c.run_config(c.Setup(data=self.data), **changes)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--data", help="folder with train.parquet and validation.parquet; none: the embedded set")
    parser.add_argument("--examples", type=int, default=5000, help="to train on")
    parser.add_argument("--rates", type=float, nargs="+", default=[1e-4, 2e-4, 4e-4], help="learning rates to try")
    parser.add_argument("--precision", choices=("no", "bf16"), default="no", help="of both sides: no is float32")
    parser.add_argument("--theirs", type=json.loads, help="be the process of the opponent; the job as JSON")
    options = parser.parse_args()
    if options.theirs is not None:
        print(json.dumps(script(Job(**options.theirs))))
        return 0
    ours, theirs = (tuned(side, options) for side in (run_ours, run_theirs))
    ratio = theirs["seconds"] / ours["seconds"]
    result = {"stage": "whole job", "opponent": "no-Trainer script", "ours": ours, "theirs": theirs, "ratio": ratio}
    Path("bench_f1.json").write_text(json.dumps(result | {"bar": BAR}, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))
    return int(ratio < BAR or min(ours["f1"], theirs["f1"]) < WANTED_F1)


def tuned(side, options):
    """Find a side's learning rate on a small job, and measure it on the whole one."""
    small = Job(
        data=options.data,
        examples=options.examples // TUNED_ON,
        learning_rate=0,
        scored=SCORED_ON if options.data else None,
        precision=options.precision,
    )
    tried = [measured(side, dataclasses.replace(small, learning_rate=rate)) for rate in options.rates]
    best = max(tried, key=lambda run: run["f1"])["learning_rate"]
    whole = dataclasses.replace(small, learning_rate=best, examples=options.examples, scored=None)
    return measured(side, whole) | {"tried": tried}


def measured(side, job: Job):
    began = time.perf_counter()
    f1 = side(job)
    found = {"seconds": time.perf_counter() - began, "f1": f1, **dataclasses.asdict(job)}
    print(side.__name__, found, flush=True)
    return found


def run_ours(job: Job) -> float:
    config = job.config
    file = {"no": "cpu.yaml", "bf16": "cpu_bf16.yaml"}[job.precision]
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", f"accelerate_configs/{file}"]
    flags = {
        "--train-data": config.train_data,
        "--validation-data": config.validation_data,
        "--max-train-examples": job.examples,
        "--max-validation-examples": job.scored,
        "--output-dir": config.output_dir / "run",
        "--features.cache-dir": config.features.cache_dir,
        "--training.epochs": 1,
        "--training.batch-size": c.BATCH,
        "--training.learning-rate": job.learning_rate,
        "--tracking.report-to": "none",
    }
    words = [str(word) for flag, value in flags.items() if value is not None for word in (flag, value)]
    subprocess.run([*command, "train_qa.py", *words], cwd=ROOT, check=True)
    scores = json.loads((config.output_dir / "run" / "metrics.json").read_text(encoding="utf-8"))
    return scores.get("best_f1", scores["f1"])


def run_theirs(job: Job) -> float:
    command = [sys.executable, "-m", "tests.benchmarks.time_to_f1", "--theirs", json.dumps(dataclasses.asdict(job))]
    finished = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(finished.stdout.splitlines()[-1])


def script(job: Job) -> float:
    """Be the no-Trainer script from features to F1."""
    config = job.config
    rows, held_out = load_training_examples(config).rows, load_validation_examples(config).rows
    torch.manual_seed(config.seed)
    model, tokenizer = c.theirs_model(job.precision)
    windows = baselines.features(c.columns(rows), tokenizer)
    loader = baselines.loader(windows, tokenizer, batch_size=c.BATCH, shuffle=True, labels=True)
    optimizer = baselines.optimizer_for(model, job.learning_rate)
    schedule = baselines.linear_schedule(optimizer, warmup=len(loader) // 10, total=len(loader))
    for batch in loader:
        baselines.train_step(model, optimizer, schedule, batch, max_norm=None)
    dev = baselines.features(c.columns(held_out), tokenizer)
    starts, ends = baselines.logits_of(model, dev, tokenizer)
    references = [answers["text"] for answers in held_out["answers"]]
    dev = datasets.Dataset.from_list(dev)
    texts, odds, _ = baselines.answers(held_out, dev, starts, ends, null_possible=not all(references))
    if all(references):
        return baselines.v1_scores(texts, references)["f1"]
    return baselines.v2_scores(texts, references, odds)["best_f1"]


if __name__ == "__main__":
    sys.exit(main())
