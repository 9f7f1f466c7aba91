"""A sweep from its file to its table: runs that are missing are made, broken ones resumed, finished ones kept."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from qa.errors import SweepError
from qa.experiments.commands import Command
from qa.experiments.ledger import Ledger
from qa.experiments.running import STOPPED, Ended, Job, Runner
from qa.experiments.settings import Setting, Trial, drawn, grid, setting_name, trials_of
from qa.experiments.summary import SettingResult
from qa.experiments.sweep_file import Sweep

_SHOWN_BYTES = 2000

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Sweeping:
    """A sweep in a folder."""

    sweep: Sweep
    folder: Path
    command: Command
    seed: int
    """Of random settings and of the search."""
    say: Say

    def planned(self) -> list[Trial]:
        """Return the runs that are known before any has ended, each checked to be one that can be started.

        Raises:
            SweepError, ConfigError: flags that no run can have.

        """
        trials = [trial for setting in self._known_settings() for trial in self.trials_of(setting)]
        for trial in trials:
            self.command.config_of(trial, self.folder_of(trial))
        return trials

    def run(self, runner: Runner) -> list[SettingResult]:
        """Do all runs that are not finished; return what all have found, setting by setting.

        Raises:
            SweepError: a command that cannot be started, or a score that runs do not have.

        """
        self.folder.mkdir(parents=True, exist_ok=True)
        ledger = Ledger.open(self.folder)
        if self.sweep.method != "bayes":
            self._do(self.planned(), ledger, runner)
            return [self.result_of(setting, ledger) for setting in self._known_settings()]
        results: list[SettingResult] = []
        for setting in self._proposed_settings(ledger, results):
            self._do(self.trials_of(setting), ledger, runner)
            if runner.stopped_by:
                break
            results.append(self.result_of(setting, ledger))
        return results

    def failed(self, results: Sequence[SettingResult]) -> list[str]:
        """Return the names of runs of these settings whose last attempt has failed."""
        runs, tried = Ledger.open(self.folder).runs, [name for result in results for name in result.names]
        return [name for name in tried if name in runs and runs[name].status == "failed"]

    def trials_of(self, setting: Setting) -> list[Trial]:
        """Return the runs of a setting."""
        return trials_of(self.sweep, setting, self.command.own_arguments)

    def folder_of(self, trial: Trial) -> Path:
        """Return the folder of a run."""
        return self.folder / trial.name

    def log_of(self, name: str) -> Path:
        """Return the file with what a run said."""
        return self.folder / f"{name}.log"

    # --- settings ---

    def _known_settings(self) -> list[Setting]:
        if self.sweep.method == "bayes":
            return []
        settings = grid(self.sweep) if self.sweep.method == "grid" else drawn(self.sweep, self.seed)
        return list(islice(settings, self.sweep.most_settings))

    def _proposed_settings(self, ledger: Ledger, results: Sequence[SettingResult]) -> Iterator[Setting]:
        """Yield those proposed before, and then new ones by what has been found; `results` grows meanwhile."""
        from qa.experiments.search import propose  # noqa: PLC0415  # Optuna is an extra of its own

        assert self.sweep.most_settings is not None
        for place in range(self.sweep.most_settings):
            if place == len(ledger.proposed):
                found = [
                    (setting, result.score.mean if result.scores else None)
                    for setting, result in zip(ledger.proposed, results, strict=True)
                ]
                ledger.propose(propose(self.sweep, found, self.seed))
            yield ledger.proposed[place]

    # --- runs ---

    def _do(self, trials: Sequence[Trial], ledger: Ledger, runner: Runner) -> None:
        missing = [trial for trial in trials if not ledger.is_finished(trial, self.folder_of(trial))]
        by_name = {trial.name: trial for trial in missing}
        if len(missing) < len(trials) and self.sweep.method != "bayes":
            self.say(f"{len(trials) - len(missing)} of {len(trials)} runs are finished")
        jobs = [self._job(trial) for trial in missing]
        for place, one in enumerate(runner.run(jobs, lambda job: ledger.begin(by_name[job.name])), start=1):
            self._note(one, ledger, f"{place}/{len(jobs)}")

    def _job(self, trial: Trial) -> Job:
        folder = self.folder_of(trial)
        resumes = folder.is_dir() and any(folder.iterdir())
        return Job(
            name=trial.name,
            words=self.command.of(trial, folder, resumes=resumes),
            log=self.log_of(trial.name),
        )

    def _note(self, one: Ended, ledger: Ledger, place: str) -> None:
        name = one.job.name
        if name not in ledger.runs or (one.status is STOPPED and not one.seconds):
            return  # not started any more
        if one.status is STOPPED:
            ledger.end(name, "stopped", exit_status=None, seconds=one.seconds)
            self.say(f"{place} {name}: stopped")
            return
        scores = ledger.scores(self.folder / name)
        finished = one.status == 0 and scores is not None
        ledger.end(name, "finished" if finished else "failed", exit_status=one.status, seconds=one.seconds)
        if finished and scores is not None:
            self.say(f"{place} {name}: {self.metric_of(scores)} {self._value(scores, name):.2f}, {one.seconds:.0f} s")
        else:
            why = f"exit status {one.status}" if one.status else "it left no metrics.json"
            self.say(f"{place} {name}: failed ({why}); {one.job.log} ends with:\n{_end_of(one.job.log)}")

    # --- scores ---

    def result_of(self, setting: Setting, ledger: Ledger) -> SettingResult:
        """Return what the finished runs of a setting have found."""
        trials = [one for one in self.trials_of(setting) if ledger.is_finished(one, self.folder_of(one))]
        scores = {one.seed: ledger.scores(self.folder_of(one)) for one in trials}
        return SettingResult(
            name=setting_name(setting),
            names=tuple(one.name for one in self.trials_of(setting)),
            scores={seed: self._value(found, setting_name(setting)) for seed, found in scores.items() if found},
            minutes={one.seed: ledger.runs[one.name].seconds / 60 for one in trials},
        )

    def metric_of(self, scores: Mapping[str, Any]) -> str:
        """Return the name of the score that counts: the file's, or F1, of a best threshold where there is one."""
        if self.sweep.metric is not None:
            return self.sweep.metric.key
        return "best_f1" if "best_f1" in scores else "f1"

    def _value(self, scores: Mapping[str, Any], name: str) -> float:
        metric = self.metric_of(scores)
        if metric not in scores:
            raise SweepError(f"{name} has no score {metric!r}; wanted one of {', '.join(scores)}")
        return float(scores[metric])


def _end_of(log: Path) -> str:
    content = log.read_bytes()[-_SHOWN_BYTES:].decode(errors="replace")
    return "\n".join(f"    {line}" for line in content.splitlines()[-5:])
