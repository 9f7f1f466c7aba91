"""`qa crossval`: a run for each fold of a data set, and scores on all of it."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from qa.cli.display import print_json, print_line, print_table
from qa.cli.experiment_flags import Crossval
from qa.config import DataConfig
from qa.data.examples import Examples, load_examples
from qa.errors import SweepError, UsageError
from qa.experiments.campaign import Campaign
from qa.experiments.commands import command_of, page
from qa.experiments.crossval import Fold, OutOfFold, join_runs, trials_of, write_folds
from qa.experiments.ledger import Ledger
from qa.experiments.running import Runner
from qa.experiments.statistics import Estimate, mean_estimate


class Row(NamedTuple):
    """What the run of a fold found, in percent, and how long it took."""

    fold: Fold
    exact: float
    f1: float
    minutes: float


def run(arguments: Crossval) -> None:
    """Do the runs that are not finished, and join what they found.

    Raises:
        UsageError: fewer than two folds.
        SweepError: runs have failed.

    """
    if arguments.folds < 2:
        raise UsageError(f"folds is {arguments.folds}; wanted 2 or more")
    examples = load_examples(
        arguments.data,
        split=arguments.split,
        config=DataConfig(name=arguments.data_name, on_bad_example=arguments.on_bad_example),
    )
    out = arguments.out or Path("runs") / f"crossval-{Path(arguments.data).stem}"
    files = out / f"folds-{examples.fingerprint[:8]}-{arguments.folds}-{arguments.seed}"
    folds = write_folds(examples, files, count=arguments.folds, seed=arguments.seed)
    campaign = Campaign(
        folder=out,
        command=command_of(shlex.split(arguments.command), page()),
        say=(lambda _: None) if arguments.json else print_line,
    )
    rows, folders = _done(campaign, folds, jobs=arguments.jobs)
    _show(arguments, out, rows, join_runs(folders, examples, out, source=arguments.data), examples)


def _done(campaign: Campaign, folds: Sequence[Fold], *, jobs: int) -> tuple[list[Row], list[Path]]:
    """Do all runs; return what each found, and their folders."""
    trials, ledger = trials_of(folds, campaign.command.own_arguments), Ledger.open(campaign.folder)
    if any(config.data.answers == "all" for config in campaign.check(trials)):
        raise UsageError("the runs are to find all answers (data.answers all); folds are judged by single answers")
    with Runner(jobs) as runner:
        campaign.do(trials, ledger, runner)
    if runner.stopped_by:
        campaign.say("stopped; the same command goes on")
        raise SystemExit(128 + runner.stopped_by)
    finished = {trial.name for trial in campaign.finished(trials, ledger)}
    failed = [trial.name for trial in trials if trial.name not in finished]
    if failed:
        raise SweepError(
            f"{len(failed)} of {len(trials)} runs failed; the same command tries again: {', '.join(failed)}"
        )
    folders = [campaign.folder_of(trial) for trial in trials]
    rows = [
        _row(fold, ledger.scores(folder) or {}, ledger.runs[trial.name].seconds / 60)
        for fold, folder, trial in zip(folds, folders, trials, strict=True)
    ]
    return rows, folders


def _row(fold: Fold, scores: Mapping[str, float], minutes: float) -> Row:
    return Row(fold, scores["exact"] if "exact" in scores else scores["exact_match"], scores["f1"], minutes)


# --- showing ------------------------------------------------------------------------------------------------------


def _show(arguments: Crossval, out: Path, rows: Sequence[Row], found: OutOfFold, examples: Examples) -> None:
    exact, f1 = mean_estimate([row.exact for row in rows]), mean_estimate([row.f1 for row in rows])
    if arguments.json:
        print_json(
            {
                "folds": [
                    {"fold": fold.number, "examples": fold.examples, "exact": one, "f1": other, "minutes": minutes}
                    for fold, one, other, minutes in rows
                ],
                "mean_of_folds": {"exact": asdict(exact), "f1": asdict(f1)},
                "all_examples": {"exact": found.exact._asdict(), "f1": found.f1._asdict()},
                "scores": found.scores,
                "out": str(out),
            }
        )
        return
    print_table(
        ("fold", "examples", "exact (%)", "F1 (%)", "minutes"),
        [(str(fold.number), fold.examples, one, other, minutes) for fold, one, other, minutes in rows],
    )
    print_table(
        ("", "exact (%)", "F1 (%)"),
        [
            (f"mean of {len(rows)} folds", _text(exact), _text(f1)),
            (
                f"all {len(examples)} examples",
                *(f"{mean:.2f} [{low:.2f}, {high:.2f}]" for mean, low, high in (found.exact, found.f1)),
            ),
        ],
    )
    print_line("95 % intervals: of folds by Student's t, which are too narrow, since folds share examples to train on;")
    print_line("of all examples by a bootstrap over contexts")
    print_line(f"answers of all examples: {out}")


def _text(estimate: Estimate) -> str:
    interval = "" if estimate.low is None else f" [{estimate.low:.2f}, {estimate.high:.2f}]"
    return f"{estimate.mean:.2f}{interval}"
