"""A sweep from its file to its results, with runs that end at once."""

import json

import pytest

from qa.errors import ConfigError
from qa.experiments.campaign import Campaign
from qa.experiments.commands import Command
from qa.experiments.ledger import Ledger
from qa.experiments.running import STOPPED, Ended, Runner
from qa.experiments.sweep_file import load_sweep
from qa.experiments.sweeping import Sweeping
from tests.support.sweeps import values, write_sweep

GRID = {"training.learning-rate": values(1e-3, 1e-2), "seed": values(1, 2)}


class Jobs(Runner):
    """A runner whose jobs score by their number; those from `stopped` on are not started."""

    def __init__(self, *, failing=(), stopped=None):
        super().__init__(1)
        self.failing, self.stopped, self.names, self.signal = failing, stopped, [], 0

    @property
    def stopped_by(self):
        return self.signal

    def run(self, jobs, began):
        for job in jobs:
            number = len(self.names)
            if number == self.stopped:
                self.signal = 15
                yield Ended(job=job, status=STOPPED, seconds=0.0)
                continue
            self.names.append(job.name)
            began(job)
            folder = job.log.with_suffix("")
            folder.mkdir()
            job.log.write_text("")
            status = int(number in self.failing)
            if not status:
                (folder / "metrics.json").write_text(json.dumps({"f1": 10.0 * (number + 1)}))
            yield Ended(job=job, status=status, seconds=60.0)


def sweeping(tmp_path, *, seed=0, **keys):
    sweep = load_sweep(write_sweep(tmp_path, **({"parameters": GRID} | keys)))
    campaign = Campaign(folder=tmp_path / "runs", command=Command(words=("run",), program="p"), say=lambda _: None)
    return Sweeping(sweep=sweep, campaign=campaign, seed=seed)


def test_results_are_by_setting_with_a_score_of_every_seed(tmp_path):
    first, second = sweeping(tmp_path).run(Jobs())
    assert [one.name for one in (first, second)] == ["learning-rate=0.001", "learning-rate=0.01"]
    assert (first.scores, second.scores) == ({1: 10.0, 2: 20.0}, {1: 30.0, 2: 40.0})
    assert first.minutes == {1: 1.0, 2: 1.0}


def test_a_failed_run_is_named_and_has_no_score(tmp_path):
    one = sweeping(tmp_path)
    first, second = results = one.run(Jobs(failing=[1]))
    assert (first.scores, second.scores) == ({1: 10.0}, {1: 30.0, 2: 40.0})
    assert one.failed(results) == [first.names[1]]


def test_planned_runs_are_checked_before_the_first(tmp_path):
    assert [trial.seed for trial in sweeping(tmp_path).planned()] == [1, 2, 1, 2]
    with pytest.raises(ConfigError, match="batch-size is 0"):
        sweeping(tmp_path, parameters=GRID | {"training.batch-size": values(8, 0)}).planned()


def test_random_settings_are_those_of_the_seed_and_no_more_than_the_cap(tmp_path):
    rates = {"training.learning-rate": {"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-3}}
    one, same, other = (
        sweeping(tmp_path, seed=seed, method="random", run_cap=3, parameters=rates).planned() for seed in (0, 0, 1)
    )
    assert [trial.name for trial in one] == [trial.name for trial in same]
    assert {trial.name for trial in one} != {trial.name for trial in other}
    assert len(one) == 3


def test_a_search_sees_what_was_found_and_goes_on_where_it_was_stopped(tmp_path, monkeypatch):
    pytest.importorskip("optuna", reason="searches: pip install 'extractive-qa[optuna]'")
    seen = []

    def propose(_, found, seed):
        seen.append([score for _, score in found])
        return {"training.learning-rate": 10.0 ** -(len(found) + 2 + seed)}

    monkeypatch.setattr("qa.experiments.search.propose", propose)
    keys = {"method": "bayes", "run_cap": 3, "metric": {"name": "f1"}}
    keys["parameters"] = {"training.learning-rate": {"distribution": "log_uniform_values", "min": 1e-6, "max": 1e-1}}
    one = sweeping(tmp_path, **keys)
    assert one.planned() == []
    assert len(one.run(Jobs(stopped=1))) == 1
    assert len(Ledger.open(one.campaign.folder).proposed) == 2
    results = one.run(Jobs())
    assert seen == [[], [10.0], [10.0, 10.0]]  # what was proposed before is not asked for again
    assert [result.scores[None] for result in results] == [10.0, 10.0, 20.0]
