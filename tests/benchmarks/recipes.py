"""Recipes of training at the same budget, with three seeds each: the same examples first, then the same minutes.

    python -m tests.benchmarks.recipes --data FOLDER [--examples 10000] [--only plain ema …] [--out runs/recipes]

FOLDER holds train.parquet and validation.parquet. The first sweep trains every recipe on as many examples. The second
gives each as many as it learns from in the minutes that the plain recipe took: from the start of the run to its last
step, without the evaluation. The same command goes on where it was stopped; OUT/examples and OUT/minutes hold the
tables, plots and runs, which `qa compare` takes.
"""

import argparse
import json
import sys
from pathlib import Path

import yaml

from qa.cli.main import main as qa
from qa.run_folder.curves import curve, read_history
from qa.run_folder.paths import RunPaths

PLAIN = "plain"
BASE = {"model": "minilm", "training.batch-size": 16, "training.learning-rate": 2e-4, "training.epochs": 1.0}
"""What every recipe starts from: presets may change, the comparison may not."""
NO_DROPOUT = {"recipe.dropout": 0.0, "recipe.attention-dropout": 0.0}
SMALL_BATCHES = {
    "training.batch-size": 8,
    "training.learning-rate": 4e-4,
    "recipe.layer-decay": 0.9,
    **NO_DROPOUT,
}
RECIPES = {
    PLAIN: {},
    "no-dropout": NO_DROPOUT,
    "dropout-0.05": {"recipe.dropout": 0.05, "recipe.attention-dropout": 0.05},
    "batch-8": {"training.batch-size": 8, "training.learning-rate": 1.4e-4},
    "batch-32": {"training.batch-size": 32, "training.learning-rate": 2.8e-4},
    "higher-rate": {"training.learning-rate": 4e-4},
    "ema": {"recipe.averaging": "ema"},
    "tail-average": {"recipe.averaging": "tail"},
    "layer-decay-0.85": {"recipe.layer-decay": 0.85, "training.learning-rate": 4e-4},
    "layer-decay-0.85-higher-rate": {"recipe.layer-decay": 0.85, "training.learning-rate": 6e-4},
    "layer-decay-0.85-no-dropout": {"recipe.layer-decay": 0.85, "training.learning-rate": 6e-4, **NO_DROPOUT},
    "layer-decay-0.85-no-dropout-beta-0.98": {
        "recipe.layer-decay": 0.85,
        "training.learning-rate": 6e-4,
        "training.adam-betas": [0.9, 0.98],
        **NO_DROPOUT,
    },
    "layer-decay-0.9": {"recipe.layer-decay": 0.9, "training.learning-rate": 4e-4},
    "layer-decay-0.9-higher-rate": {"recipe.layer-decay": 0.9, "training.learning-rate": 6e-4},
    "short-windows": {"recipe.short-windows": 0.7},
    "joint": {"recipe.objective": "joint"},
    "conditional": {"head": "conditional"},
    "label-smoothing": {"recipe.label-smoothing": 0.1},
    "frozen-embeddings": {"recipe.freeze-embeddings": True},
    "cosine": {"training.schedule": "cosine"},
    "small-batches": SMALL_BATCHES,
    "small-batches-beta-0.98": {**SMALL_BATCHES, "training.adam-betas": [0.9, 0.98]},
    "small-batches-joint": {**SMALL_BATCHES, "recipe.objective": "joint"},
    "small-batches-conditional": {**SMALL_BATCHES, "head": "conditional"},
}
"""What each recipe changes of the plain one."""


def main() -> int:
    options = parsed()
    recipes = {name: BASE | RECIPES[name] for name in dict.fromkeys([PLAIN, *options.only])}
    options.out.mkdir(parents=True, exist_ok=True)
    budget = {"max-train-examples": options.examples}
    status = swept(options, "examples", {name: flags | budget for name, flags in recipes.items()})
    if status:
        return status
    minutes = training_minutes(options.out / "examples")
    examples = {name: round(options.examples * minutes[PLAIN] / spent) for name, spent in minutes.items()}
    return swept(
        options, "minutes", {name: flags | {"max-train-examples": examples[name]} for name, flags in recipes.items()}
    )


def parsed():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with train.parquet and validation.parquet")
    parser.add_argument("--examples", type=int, default=10_000, help="to train on")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument(
        "--only", nargs="+", choices=list(RECIPES), default=list(RECIPES), help="recipes; all by default"
    )
    parser.add_argument("--scored", type=int, help="examples of the dev set; all by default")
    parser.add_argument("--out", type=Path, default=Path("runs/recipes"))
    return parser.parse_args()


def swept(options, name, variants):
    """Run a sweep over recipes and seeds; return its exit status."""
    fixed = {
        "train-data": str(options.data / "train.parquet"),
        "validation-data": str(options.data / "validation.parquet"),
        "training.evaluate-every": 0,
        "tracking.report-to": "none",
    }
    if options.scored is not None:
        fixed["max-validation-examples"] = options.scored
    sweep = {
        "method": "grid",
        "metric": {"name": "f1", "goal": "maximize"},
        "command": ["${env}", "${interpreter}", "${program}", "${args}"],
        "parameters": {flag: {"value": value} for flag, value in fixed.items()} | {"seed": {"values": options.seeds}},
        "variants": variants,
    }
    file = options.out / f"{name}.yaml"
    file.write_text(yaml.safe_dump(sweep, sort_keys=False), encoding="utf-8")
    return qa(["sweep", str(file), "--out", str(options.out / name)])


def training_minutes(folder):
    """Return the mean minutes from the start of a run to its last step, by recipe."""
    runs = json.loads((folder / "sweep.json").read_text(encoding="utf-8"))["runs"]
    found: dict[str, list[float]] = {}
    for name, run in runs.items():
        losses = curve(read_history(RunPaths(folder / name).history), "train/loss")
        if losses.minutes:
            found.setdefault(run["setting"].get("variant", PLAIN), []).append(losses.minutes[-1])
    return {name: sum(minutes) / len(minutes) for name, minutes in found.items()}


if __name__ == "__main__":
    sys.exit(main())
