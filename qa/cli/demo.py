"""`qa demo`: fine-tune the embedded model on the embedded data set and show what it learned.

A run through `accelerate launch`, as any user would start it, with the preset `demo`.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from qa.cli.display import print_line, print_table
from qa.cli.start_flags import Demo
from qa.config import DataConfig, RunConfig
from qa.data.examples import load_examples
from qa.errors import LaunchError, StorageError
from qa.presets import PRESETS, load_config
from qa.run_folder.paths import RunPaths

_SHOWN_SCORES = ("exact", "f1", "HasAns_f1", "NoAns_f1", "best_f1")
_SHOWN_ANSWERS = 3
_READABLE = range(4, 40)  # characters of an answer
_QUESTION, _TEXT = "Who named the river?", "The Amazon was named by Francisco de Orellana in 1541."


class Shown(NamedTuple):
    """An answer to a held-out question."""

    question: str
    answer: str
    probability: float
    context: str


def run(arguments: Demo) -> None:
    """Run the demonstration.

    Raises:
        StorageError: the folder holds something else.
        LaunchError: the run has failed, and has said why.

    """
    paths = RunPaths(arguments.out)
    _make_room(arguments.out)
    print_line(
        "Fine-tuning MiniLM-L6 (22.6 million parameters) on questions about short passages; 3 minutes on 2 cores."
    )
    began = time.monotonic()
    launch(arguments.out)
    print_line(f"Training and evaluation took {(time.monotonic() - began) / 60:.1f} minutes.\n")
    print_table(("score on held-out passages (%)", *_columns(paths)), list(_score_rows(paths)))
    print_line("\nAnswers to held-out questions, chosen among the right ones; `qa errors` shows the wrong ones:\n")
    print_table(("question", "answer", "probability"), [one[:3] for one in chosen_answers(paths)])
    print_line("\nGo on with:\n")
    for command in next_commands(arguments.out):
        print_line(f"  {command}")


def _make_room(folder: Path) -> None:
    """Remove an earlier demonstration.

    Raises:
        StorageError: it is none.

    """
    if not folder.exists() or not any(folder.iterdir()):
        return
    config = RunPaths(folder).config
    if not config.exists() or not _is_demo(load_config(config)):
        raise StorageError(f"{folder} holds something else; wanted a new folder, or that of an earlier demo")
    shutil.rmtree(folder)


def _is_demo(config: RunConfig) -> bool:
    wanted = PRESETS["demo"]
    return (config.model, config.train_data, config.training.max_steps) == (
        wanted.model,
        wanted.train_data,
        wanted.training.max_steps,
    )


def launch(folder: Path) -> None:
    """Run the preset with the network off."""
    configuration = Path(__file__).parents[1] / "accelerate_configs" / "cpu.yaml"
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(configuration)]
    command += ["-m", "train_qa", "demo", "--output-dir", str(folder)]
    quiet = {"HF_HUB_OFFLINE": "1", "WANDB_MODE": "offline", "TOKENIZERS_PARALLELISM": "false"}
    status = subprocess.run(command, env={**quiet, **os.environ}, check=False).returncode  # noqa: S603  # fixed words
    if status:
        raise LaunchError(f"the run ended with status {status}; {RunPaths(folder).log} has what it said")


# --- what it learned ----------------------------------------------------------------------------------------------


def _columns(paths: RunPaths) -> list[str]:
    return [f"step {row['step']}" for row in _evaluations(paths)]


def _score_rows(paths: RunPaths) -> Iterator[tuple[str, ...]]:
    """Yield, for each score, what the evaluations found."""
    for name in _SHOWN_SCORES:
        yield name, *(f"{row[f'eval/{name}']:.1f}" for row in _evaluations(paths))


def _evaluations(paths: RunPaths) -> list[Mapping[str, Any]]:
    rows = [json.loads(line) for line in paths.history.read_text(encoding="utf-8").splitlines()]
    return [row for row in rows if "eval/f1" in row]


def chosen_answers(paths: RunPaths) -> list[Shown]:
    """Choose right answers that are easy to read, of different passages, and a question rightly left unanswered."""
    found = {True: list[Shown](), False: list[Shown]()}
    predictions, n_best = _read(paths.predictions), _read(paths.n_best)
    for row in load_examples("sample", split="validation", config=DataConfig()).rows:
        answer, references = predictions[row["id"]], row["answers"]["text"]
        if answer not in (references or [""]) or (references and len(answer) not in _READABLE):
            continue
        share = next(entry["probability"] for entry in n_best[row["id"]] if entry["text"] == answer)
        found[bool(references)].append(Shown(row["question"], answer or "(no answer)", share, row["context"]))
    return [*_surest(found[True], _SHOWN_ANSWERS), *_surest(found[False], 1)]


def _surest(answers: Sequence[Shown], count: int) -> list[Shown]:
    """Return the surest answer of each of the passages with the surest ones."""
    by_passage = {one.context: one for one in sorted(answers, key=lambda one: one.probability)}
    return sorted(by_passage.values(), key=lambda one: -one.probability)[:count]


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def next_commands(folder: Path) -> list[str]:
    """Return commands that go on from the demonstration, as they can be typed here."""
    scripts = Path(sys.executable).parent
    place = "" if shutil.which("qa") == str(scripts / "qa") else f"{_from_here(scripts)}/"
    page = "train_qa.py" if Path("train_qa.py").is_file() else "-m train_qa"
    asked = ["ask", str(folder / "model"), "--question", _QUESTION, "--context", _TEXT]
    return [
        f"{place}qa {shlex.join(asked)}",
        f"{place}qa errors {shlex.quote(str(folder))}",
        f"{place}qa serve {shlex.quote(str(folder / 'model'))}",
        f"{place}accelerate launch {page} minilm-squad --output-dir runs/minilm-squad",
    ]


def _from_here(folder: Path) -> str:
    return str(folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder)
