"""A sweep from its file to its results."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from qa.experiments.campaign import Campaign
from qa.experiments.ledger import Ledger
from qa.experiments.running import Runner
from qa.experiments.settings import Setting, Trial, drawn, grid, setting_name, trials_of
from qa.experiments.summary import SettingResult
from qa.experiments.sweep_file import Sweep


@dataclass(frozen=True, kw_only=True)
class Sweeping:
    """A sweep in a folder."""

    sweep: Sweep
    campaign: Campaign
    seed: int
    """Of random settings and of the search."""

    def planned(self) -> list[Trial]:
        """Return the runs that are known before any has ended, each checked to be one that can be started.

        Raises:
            SweepError, ConfigError: flags that no run can have.

        """
        trials = [trial for setting in self._known_settings() for trial in self.trials_of(setting)]
        self.campaign.check(trials)
        return trials

    def run(self, runner: Runner) -> list[SettingResult]:
        """Do all runs that are not finished; return what all have found, setting by setting.

        Raises:
            SweepError: a command that cannot be started, or a score that runs do not have.

        """
        self.campaign.folder.mkdir(parents=True, exist_ok=True)
        ledger = Ledger.open(self.campaign.folder)
        if self.sweep.method != "bayes":
            self.campaign.do(self.planned(), ledger, runner)
            return [self.result_of(setting, ledger) for setting in self._known_settings()]
        results: list[SettingResult] = []
        for setting in self._proposed_settings(ledger, results):
            self.campaign.do(self.trials_of(setting), ledger, runner)
            if runner.stopped_by:
                break
            results.append(self.result_of(setting, ledger))
        return results

    def failed(self, results: Sequence[SettingResult]) -> list[str]:
        """Return the names of runs of these settings whose last attempt has failed."""
        runs, tried = Ledger.open(self.campaign.folder).runs, [name for result in results for name in result.names]
        return [name for name in tried if name in runs and runs[name].status == "failed"]

    def trials_of(self, setting: Setting) -> list[Trial]:
        """Return the runs of a setting."""
        return trials_of(self.sweep, setting, self.campaign.command.own_arguments)

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

    # --- scores ---

    def result_of(self, setting: Setting, ledger: Ledger) -> SettingResult:
        """Return what the finished runs of a setting have found."""
        trials = self.campaign.finished(self.trials_of(setting), ledger)
        scores = {one.seed: ledger.scores(self.campaign.folder_of(one)) for one in trials}
        return SettingResult(
            name=setting_name(setting),
            names=tuple(one.name for one in self.trials_of(setting)),
            scores={seed: self.campaign.value(found, setting_name(setting)) for seed, found in scores.items() if found},
            minutes={one.seed: ledger.runs[one.name].seconds / 60 for one in trials},
        )
