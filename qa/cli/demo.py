"""`make demo`: fine-tune the embedded model on the embedded data set and show what it learned.

Two runs through `accelerate launch train_qa.py`, as any user would start them: one that only evaluates the untrained
head, one that trains.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from qa.config import DataConfig
from qa.data.examples import load_examples
from qa.run_folder.paths import RunPaths

ROOT = Path(__file__).parents[2]
BEFORE, AFTER = Path("runs/demo-before"), Path("runs/demo")
_SHOWN_SCORES = ("exact", "f1", "HasAns_f1", "NoAns_f1", "best_f1")


def main() -> int:
    """Run the demonstration in the checkout; return the exit status."""
    for folder in (BEFORE, AFTER):
        shutil.rmtree(ROOT / folder, ignore_errors=True)
    launch("--training.max-steps", "0", "--tracking.report-to", "none", "--output-dir", str(BEFORE))
    began = time.perf_counter()
    launch("--output-dir", str(AFTER))
    show(time.perf_counter() - began)
    return 0


def launch(*flags: str) -> None:
    """Run the demo preset through accelerate, with the network off."""
    command = [str(Path(sys.executable).parent / "accelerate"), "launch"]
    command += ["--config_file", "accelerate_configs/cpu.yaml", "train_qa.py", "demo", *flags]
    quiet = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    subprocess.run(command, cwd=ROOT, env={**quiet, **os.environ}, check=True)  # noqa: S603  # fixed words


def show(seconds: float) -> None:
    """Print scores before and after, three questions with their answers, and where everything is."""
    console = Console()
    console.print(score_table(read(RunPaths(BEFORE).metrics), read(RunPaths(AFTER).metrics)))
    console.print(answer_table(read(RunPaths(AFTER).predictions), read(RunPaths(AFTER).n_best)))
    offline_runs = sorted((ROOT / AFTER / "wandb").glob("offline-run-*"))
    console.print(f"training and evaluation took {seconds / 60:.1f} minutes")
    console.print(f"run folder: {AFTER}   model: {AFTER}/model")
    for run in offline_runs:
        console.print(f"offline W&B run: {run.relative_to(ROOT)}   (upload: wandb sync {run.relative_to(ROOT)})")


def score_table(before: dict[str, float], after: dict[str, float]) -> Table:
    """Compare the scores of the untrained head with those of the trained model."""
    table = Table("score", "before training", "after", "difference", title="Held-out passages, percent")
    for name in _SHOWN_SCORES:
        table.add_row(name, f"{before[name]:.1f}", f"{after[name]:.1f}", f"{after[name] - before[name]:+.1f}")
    return table


def answer_table(predictions: dict[str, str], n_best: dict[str, list[dict[str, Any]]]) -> Table:
    """Show an answerable question that is answered, one that is not so easy, and an unanswerable one."""
    table = Table("question", "model's answer", "probability", "reference", title="Three questions")
    rows = load_examples("sample", split="validation", config=DataConfig()).rows
    answerable = [row for row in rows if row["answers"]["text"]]
    right = [row for row in answerable if predictions[row["id"]] in row["answers"]["text"]]
    impossible = [row for row in rows if not row["answers"]["text"]]
    for row in (*right[:1], *[row for row in answerable if row not in right][:1], *impossible[:1]):
        answer = predictions[row["id"]]
        share = next(entry["probability"] for entry in n_best[row["id"]] if entry["text"] == answer)
        reference = " | ".join(row["answers"]["text"]) or "(no answer)"
        table.add_row(row["question"], answer or "(no answer)", f"{share:.0%}", reference)
    return table


def read(path: Path) -> dict[str, Any]:
    """Read a result file of a run folder of the demonstration."""
    content: dict[str, Any] = json.loads((ROOT / path).read_text(encoding="utf-8"))
    return content


if __name__ == "__main__":
    sys.exit(main())
