"""F1 over minutes on the SQuAD dev set: `train_qa.py` against the no-Trainer script, each job in its own process.

    python -m tests.benchmarks.time_to_f1 --data FOLDER [--ours 2000 3000 4500] [--theirs 4000 8000] [--precision bf16]

A job: load, build features, train one epoch on so many examples (linear schedule, 10 % warm-up), answer and score the
whole dev set. Each is a point of its side's curve: its wall time and its F1. Ours is trained by one of the best recipes
of `make bench-recipes`, theirs as the script is: batches of 16, the model's dropout, and the best of several learning
rates on a quarter of its fewest examples, scored on 1,000 of the dev set. Minutes to an F1 are read from the line
between the two jobs around it. OUT/points.jsonl keeps every job, so that the same command goes on where it was stopped;
OUT/f1_over_minutes.json and .svg are the result and its picture. Exits with 1 if a side has no jobs around a wanted F1
or ours is not 4 times faster at each.
"""

import argparse
import dataclasses
import itertools
import json
import subprocess
import sys
import time
from pathlib import Path

import datasets
import torch

from qa.data import load_training_examples, load_validation_examples
from qa.report.charts import line_chart, standalone
from tests.benchmarks import baselines
from tests.benchmarks import contestants as c
from tests.benchmarks.contest import ROOT

BAR = 4.0
TUNED_ON, SCORED_ON = 4, 1000
"""To find the learning rate: a fraction of the fewest examples, and so many of the dev set."""
RECIPE = {
    "--training.batch-size": 8,
    "--training.learning-rate": 4e-4,
    "--recipe.layer-decay": 0.9,
    "--recipe.dropout": 0,
    "--recipe.attention-dropout": 0,
    "--decoding.choice": "overlap",
    "--decoding.length-cost": 0.1,
}
"""Ours: `small-batches` of `make bench-recipes`, with many steps of few examples, and a choice of spans."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """What a side has to do."""

    side: str
    data: str | None
    examples: int
    learning_rate: float | None = None
    """Of the script; ours has its recipe's."""
    scored: int | None = None
    """Examples of the dev set; None: all."""
    precision: str = "no"
    """Mixed precision; the same for both sides."""

    @property
    def config(self):
        changes = {"max_train_examples": self.examples, "max_validation_examples": self.scored}
        return c.run_config(c.Setup(data=self.data), **changes)


def main() -> int:
    options = parsed()
    if options.theirs_is is not None:
        print(json.dumps(script(Job(**options.theirs_is))))
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    job = Job(side="ours", data=options.data, examples=0, precision=options.precision)
    ours = [measured(dataclasses.replace(job, examples=budget), options.out) for budget in options.ours]
    job = dataclasses.replace(job, side="theirs")
    job = dataclasses.replace(job, learning_rate=best_rate(job, options))
    theirs = [measured(dataclasses.replace(job, examples=budget), options.out) for budget in options.theirs]
    compared = [comparison(wanted, ours, theirs) for wanted in options.wanted]
    result = {"bar": BAR, "recipe": RECIPE, "compared": compared, "ours": ours, "theirs": theirs}
    (options.out / "f1_over_minutes.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    sides = {"train_qa.py": ours, "no-Trainer script": theirs}
    (options.out / "f1_over_minutes.svg").write_text(picture(sides), encoding="utf-8")
    print(json.dumps(compared, indent=2))
    return int(any(row["ratio"] is None or row["ratio"] < BAR for row in compared))


def parsed():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--data", help="folder with train.parquet and validation.parquet; none: the embedded set")
    parser.add_argument("--ours", type=int, nargs="+", default=[2000, 3000, 4500], help="examples of our jobs")
    parser.add_argument("--theirs", type=int, nargs="+", default=[4000, 8000], help="examples of the script's jobs")
    parser.add_argument("--rates", type=float, nargs="+", default=[1e-4, 2e-4, 4e-4], help="of the script, to try")
    parser.add_argument("--wanted", type=float, nargs="+", default=[60.0, 65.0], help="F1 whose minutes are compared")
    parser.add_argument("--precision", choices=("no", "bf16"), default="no", help="of both sides: no is float32")
    parser.add_argument("--out", type=Path, default=Path("runs/time_to_f1"))
    parser.add_argument("--theirs-is", type=json.loads, help="be the process of the script; the job as JSON")
    return parser.parse_args()


def best_rate(job: Job, options) -> float:
    """Find the script's learning rate on a small job."""
    if len(options.rates) == 1:
        return options.rates[0]
    small = dataclasses.replace(
        job, examples=min(options.theirs) // TUNED_ON, scored=SCORED_ON if options.data else None
    )
    tried = [measured(dataclasses.replace(small, learning_rate=rate), options.out) for rate in options.rates]
    return max(tried, key=lambda run: run["f1"])["learning_rate"]


def measured(job: Job, out: Path):
    """Do a job, or return what was measured when it was done before."""
    points = out / "points.jsonl"
    done = [json.loads(line) for line in points.read_text(encoding="utf-8").splitlines()] if points.exists() else []
    wanted = dataclasses.asdict(job)
    for point in done:
        if point.items() >= wanted.items():
            return point
    began = time.perf_counter()
    f1 = run_ours(job) if job.side == "ours" else run_theirs(job)
    point = {"minutes": (time.perf_counter() - began) / 60, "f1": f1, **wanted}
    print(point, flush=True)
    with points.open("a", encoding="utf-8") as file:
        file.write(json.dumps(point) + "\n")
    return point


def comparison(wanted: float, ours, theirs):
    """Compare the minutes to an F1; None where a side has no two jobs around it."""
    minutes = {"ours": minutes_to(wanted, ours), "theirs": minutes_to(wanted, theirs)}
    known = None not in minutes.values()
    return {"f1": wanted, **minutes, "ratio": minutes["theirs"] / minutes["ours"] if known else None}


def minutes_to(wanted: float, points) -> float | None:
    """Read the minutes to an F1 from the line between the two jobs around it; None where there are none."""
    for before, after in itertools.pairwise(sorted(points, key=lambda point: point["minutes"])):
        if before["f1"] <= wanted <= after["f1"]:
            share = (wanted - before["f1"]) / ((after["f1"] - before["f1"]) or 1)
            return before["minutes"] + share * (after["minutes"] - before["minutes"])
    return None


def picture(sides) -> str:
    """Draw both curves as an SVG file's content."""
    lines = {name: [(point["minutes"], point["f1"]) for point in points] for name, points in sides.items()}
    return standalone(line_chart("F1 over minutes", lines, x_label="minutes, from start to score", y_label="F1"))


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
        "--tracking.report-to": "none",
        **RECIPE,
    }
    words = [str(word) for flag, value in flags.items() if value is not None for word in (flag, value)]
    subprocess.run([*command, "train_qa.py", *words], cwd=ROOT, check=True)
    scores = json.loads((config.output_dir / "run" / "metrics.json").read_text(encoding="utf-8"))
    return scores.get("best_f1", scores["f1"])


def run_theirs(job: Job) -> float:
    command = [sys.executable, "-m", "tests.benchmarks.time_to_f1", "--theirs-is", json.dumps(dataclasses.asdict(job))]
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
