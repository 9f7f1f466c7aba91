"""Runs in one folder: missing ones are made, broken ones resumed, finished ones kept."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qa.config import RunConfig
from qa.errors import SweepError
from qa.experiments.commands import Command
from qa.experiments.ledger import Ledger
from qa.experiments.running import STOPPED, Ended, Job, Runner
from qa.experiments.settings import Trial, setting_name
from qa.metrics import main_score

_SHOWN_BYTES = 2000
_LONGEST_GROUP = 128  # characters that W&B takes

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """Where runs are, how they are started, and what is said of them."""

    folder: Path
    command: Command
    say: Say
    metric: str | None = None
    """Score that is said of a run; None: F1, of the best threshold where there is one."""

    def check(self, trials: Sequence[Trial]) -> list[RunConfig]:
        """Check that runs can be started; return the configurations that they will have.

        Raises:
            SweepError, ConfigError: flags that no run can have.

        """
        return [self.command.config_of(trial, self.folder_of(trial)) for trial in trials]

    def folder_of(self, trial: Trial) -> Path:
        """Return the folder of a run."""
        return self.folder / trial.name

    def log_of(self, name: str) -> Path:
        """Return the file with what a run said."""
        return self.folder / f"{name}.log"

    def finished(self, trials: Sequence[Trial], ledger: Ledger) -> list[Trial]:
        """Return the runs that have ended well."""
        return [trial for trial in trials if ledger.is_finished(trial, self.folder_of(trial))]

    def do(self, trials: Sequence[Trial], ledger: Ledger, runner: Runner) -> None:
        """Do the runs that are not finished, and say how each ended.

        Raises:
            SweepError: a command that cannot be started, or a score that runs do not have.

        """
        done = {trial.name for trial in self.finished(trials, ledger)}
        by_name = {trial.name: trial for trial in trials if trial.name not in done}
        if done and len(trials) > 1:
            self.say(f"{len(done)} of {len(trials)} runs are finished")
        jobs = [self._job(trial) for trial in by_name.values()]
        for place, one in enumerate(runner.run(jobs, lambda job: ledger.begin(by_name[job.name])), start=1):
            self._note(one, ledger, f"{place}/{len(jobs)}")

    def metric_of(self, scores: Mapping[str, Any]) -> str:
        """Return the name of the score that counts."""
        if self.metric is not None:
            return self.metric
        return main_score(scores)

    def value(self, scores: Mapping[str, Any], name: str) -> float:
        """Return the score that counts.

        Raises:
            SweepError: naming what has no such score.

        """
        metric = self.metric_of(scores)
        if metric not in scores:
            raise SweepError(f"{name} has no score {metric!r}; wanted one of {', '.join(scores)}")
        return float(scores[metric])

    def _job(self, trial: Trial) -> Job:
        folder = self.folder_of(trial)
        resumes = folder.is_dir() and any(folder.iterdir())
        return Job(
            name=trial.name,
            words=self.command.of(trial, folder, resumes=resumes),
            log=self.log_of(trial.name),
            group=f"{self.folder.resolve().name}: {setting_name(trial.setting)}"[:_LONGEST_GROUP],
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
            self.say(f"{place} {name}: {self.metric_of(scores)} {self.value(scores, name):.2f}, {one.seconds:.0f} s")
        else:
            why = f"exit status {one.status}" if one.status else "it left no metrics.json"
            self.say(f"{place} {name}: failed ({why}); {one.job.log} ends with:\n{_end_of(one.job.log)}")


def _end_of(log: Path) -> str:
    content = log.read_bytes()[-_SHOWN_BYTES:].decode(errors="replace")
    return "\n".join(f"    {line}" for line in content.splitlines()[-5:])
