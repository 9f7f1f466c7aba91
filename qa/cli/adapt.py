"""`qa adapt`: a model adapted to texts without labels, and trained on few labels after it."""

import hashlib
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qa.adaptation.clozes import cloze_examples
from qa.adaptation.corpus import read_texts
from qa.cli.display import print_json, print_line
from qa.cli.experiment_flags import Adapt
from qa.errors import SweepError, UsageError
from qa.experiments.campaign import Campaign, Say
from qa.experiments.commands import command_of, page
from qa.experiments.ledger import Ledger
from qa.experiments.running import Runner
from qa.experiments.settings import Trial, trial_of
from qa.files import write_whole
from qa.run_folder.paths import RunPaths

_MOST_HELD_OUT = 0.1  # of all questions


@dataclass(frozen=True, kw_only=True)
class _Stage:
    """A run, and what it is for."""

    name: str
    campaign: Campaign
    trial: Trial

    @property
    def folder(self) -> Path:
        return self.campaign.folder_of(self.trial)

    @property
    def model(self) -> Path:
        """Folder of the model that the run leaves."""
        return RunPaths(self.folder).model


def run(arguments: Adapt) -> None:
    """Make the questions, and do the runs that are not finished.

    Raises:
        UsageError: training data without validation data, or the other way round.
        SweepError: a run has failed.

    """
    if (arguments.train_data is None) != (arguments.validation_data is None):
        raise UsageError("found one of --train-data and --validation-data; wanted both, or neither")
    say: Say = (lambda _: None) if arguments.json else print_line
    stages = _stages(arguments, _write_questions(arguments, say), say)
    for stage in stages:
        stage.campaign.check([stage.trial])
    found: dict[str, Any] = {}
    for stage in stages:
        found[stage.name] = _done(stage)
    if arguments.json:
        print_json(found)
    else:
        print_line(f"model: {stages[-1].model}")


# --- questions ----------------------------------------------------------------------------------------------------


def _write_questions(arguments: Adapt, say: Say) -> Path:
    """Write the questions to train and to be scored on; return their folder, whose name tells what is in it."""
    texts = read_texts(arguments.texts, split=arguments.split)
    rows = cloze_examples(texts, most=arguments.examples, seed=arguments.seed)
    held_out = min(arguments.held_out, int(len(rows) * _MOST_HELD_OUT))
    parts = {"validation": rows[:held_out] or rows, "train": rows[held_out:]}  # they are in random order
    lines = {name: "".join(f"{json.dumps(row)}\n" for row in part) for name, part in parts.items()}
    digest = hashlib.sha256("\n".join(lines.values()).encode()).hexdigest()[:8]
    folder = arguments.out / f"questions-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in lines.items():
        write_whole(folder / f"{name}.jsonl", content)
    say(f"{len(parts['train'])} questions from {len(texts)} texts, {held_out} more to score on: {folder}")
    return folder


# --- runs ---------------------------------------------------------------------------------------------------------


def _stages(arguments: Adapt, questions: Path, say: Say) -> list[_Stage]:
    first = _stage(
        "adapted",
        arguments,
        arguments.adapt_command,
        {
            "model": arguments.model,
            "train-data": str(questions / "train.jsonl"),
            "validation-data": str(questions / "validation.jsonl"),
        },
        say,
    )
    if arguments.train_data is None or arguments.validation_data is None:
        return [first]
    flags = {
        "model": str(first.model),
        "train-data": arguments.train_data,
        "validation-data": arguments.validation_data,
    }
    return [first, _stage("trained", arguments, arguments.command, flags, say)]


def _stage(name: str, arguments: Adapt, command: str, flags: Mapping[str, str], say: Say) -> _Stage:
    campaign = Campaign(folder=arguments.out, command=command_of(shlex.split(command), page()), say=say)
    return _Stage(name=name, campaign=campaign, trial=trial_of({"stage": name}, flags, campaign.command.own_arguments))


def _done(stage: _Stage) -> dict[str, Any]:
    """Do a run if it is not finished; return what it left."""
    ledger = Ledger.open(stage.campaign.folder)
    with Runner(1) as runner:
        stage.campaign.do([stage.trial], ledger, runner)
    if runner.stopped_by:
        stage.campaign.say("stopped; the same command goes on")
        raise SystemExit(128 + runner.stopped_by)
    scores = ledger.scores(stage.folder)
    if not stage.campaign.finished([stage.trial], ledger) or scores is None:
        raise SweepError(f"the run {stage.trial.name} failed; {stage.campaign.log_of(stage.trial.name)} says why")
    return {"run": str(stage.folder), "model": str(stage.model), "scores": scores}
