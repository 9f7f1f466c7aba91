"""`qa sweep`: all runs of a sweep file, and a table of what they found."""

import importlib.util
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from qa.cli.display import print_json, print_line, print_table
from qa.cli.experiment_flags import Sweep
from qa.errors import MissingPackageError, SweepError
from qa.experiments.campaign import Campaign
from qa.experiments.commands import PROGRAM, command_of, page
from qa.experiments.plots import plot_estimates
from qa.experiments.running import Runner
from qa.experiments.summary import Row, cells, head, markdown, summarised
from qa.experiments.sweep_file import load_sweep
from qa.experiments.sweeping import Sweeping
from qa.files import write_json, write_whole


def run(arguments: Sweep) -> None:
    """Do what is missing, and show what is there.

    Raises:
        SweepError: runs have failed; the others are in the table.

    """
    sweeping = _sweeping(arguments)
    if arguments.dry_run:
        _show_plan(sweeping)
        return
    with Runner(arguments.jobs) as runner:
        results = sweeping.run(runner)
    maximizes = sweeping.sweep.metric is None or sweeping.sweep.metric.goal == "maximize"
    rows = summarised(results, maximize=maximizes)
    metric = sweeping.sweep.metric.key if sweeping.sweep.metric is not None else "F1"
    failed = sweeping.failed(results)
    if rows:
        _write(rows, metric, sweeping.campaign.folder)
    if arguments.json:
        print_json({"metric": metric, "settings": [asdict(row) for row in rows], "failed": failed})
    elif rows:
        print_table(head(metric), [cells(row) for row in rows])
        print_line(str(sweeping.campaign.folder / "table.md"))
    if runner.stopped_by:
        print_line("stopped; the same command goes on")
        raise SystemExit(128 + runner.stopped_by)
    if failed:
        runs = sum(len(result.names) for result in results)
        raise SweepError(f"{len(failed)} of {runs} runs failed; the same command tries again: {', '.join(failed)}")


def _sweeping(arguments: Sweep) -> Sweeping:
    sweep = load_sweep(arguments.file)
    if sweep.method == "bayes" and importlib.util.find_spec("optuna") is None:
        raise MissingPackageError("not installed: optuna; install it with: pip install 'extractive-qa[optuna]'")
    words = shlex.split(arguments.command) if arguments.command is not None else sweep.command
    campaign = Campaign(
        folder=arguments.out or Path("runs") / arguments.file.stem,
        command=command_of(words, page() if sweep.program == PROGRAM else sweep.program),
        say=(lambda _: None) if arguments.json else print_line,
        metric=sweep.metric.key if sweep.metric is not None else None,
    )
    sweeping = Sweeping(sweep=sweep, campaign=campaign, seed=arguments.search_seed)
    sweeping.planned()  # what no run can have is known before the first one
    return sweeping


def _show_plan(sweeping: Sweeping) -> None:
    campaign = sweeping.campaign
    for trial in sweeping.planned():
        print_line(shlex.join(campaign.command.of(trial, campaign.folder_of(trial), resumes=False)))
    if sweeping.sweep.method == "bayes":
        print_line(f"at most {sweeping.sweep.run_cap} runs, each setting chosen by what the ones before have found")


def _write(rows: Sequence[Row], metric: str, folder: Path) -> None:
    write_whole(folder / "table.md", markdown(rows, metric))
    write_json(folder / "table.json", {"metric": metric, "settings": [asdict(row) for row in rows]})
    plot_estimates(
        [(row.name, row.score) for row in rows], [row.single for row in rows], folder / "plot.png", label=metric
    )
