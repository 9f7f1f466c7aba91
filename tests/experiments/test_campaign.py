"""Runs in one folder: what is missing is made, what is broken resumed, what is finished kept; and all is said."""

from pathlib import Path

import pytest

from qa.errors import ConfigError, SweepError
from qa.experiments.campaign import Campaign
from qa.experiments.commands import Command
from qa.experiments.ledger import Ledger
from qa.experiments.running import STOPPED, Ended, Runner
from qa.experiments.settings import trial_of

TRIALS = [trial_of({"seed": seed}, {"seed": seed}, []) for seed in (1, 2, 3)]


class Jobs(Runner):
    """A runner whose jobs end as a test says, by number; a good one leaves scores."""

    def __init__(self, *statuses, scores='{"f1": 40.0}', seconds=90.0):
        super().__init__(1)
        self.statuses, self.scores, self.seconds, self.jobs = statuses, scores, seconds, []

    def run(self, jobs, began):
        for job, status in zip(jobs, self.statuses, strict=False):
            self.jobs.append(job)
            began(job)
            folder = job.log.with_suffix("")
            folder.mkdir(exist_ok=True)
            (folder / "config.json").touch()
            job.log.write_text("".join(f"line {at}\n" for at in range(9)))
            if status == 0 and self.scores is not None:
                (folder / "metrics.json").write_text(self.scores)
            yield Ended(job=job, status=status, seconds=self.seconds)


@pytest.fixture
def said():
    return []


@pytest.fixture
def campaign(tmp_path, said):
    (tmp_path / "sweep").mkdir()
    return Campaign(folder=tmp_path / "sweep", command=Command(words=("run",), program="p"), say=said.append)


def do(campaign, jobs, trials=TRIALS):
    ledger = Ledger.open(campaign.folder)
    campaign.do(trials, ledger, jobs)
    return ledger


def test_every_run_is_done_once_and_said_with_its_score(campaign, said):
    jobs = Jobs(0, 0, 0)
    ledger = do(campaign, jobs)
    assert campaign.finished(TRIALS, ledger) == TRIALS
    assert said == [f"{at}/3 {trial.name}: f1 40.00, 90 s" for at, trial in enumerate(TRIALS, start=1)]
    assert [job.group for job in jobs.jobs] == ["sweep: seed=1", "sweep: seed=2", "sweep: seed=3"]
    said.clear()
    again = Jobs()
    do(campaign, again)
    assert (again.jobs, said) == ([], ["3 of 3 runs are finished"])


def test_a_broken_run_is_named_with_the_end_of_its_log_and_resumed(campaign, said):
    ledger = do(campaign, Jobs(0, 5, 0))
    assert ledger.runs[TRIALS[1].name].status == "failed"
    log = campaign.log_of(TRIALS[1].name)
    end = "\n".join(f"    line {at}" for at in range(4, 9))
    assert said[1] == f"2/3 {TRIALS[1].name}: failed (exit status 5); {log} ends with:\n{end}"
    again = Jobs(0)
    do(campaign, again)
    (job,) = again.jobs
    assert job.words[-1] == "--resume=auto"
    assert said[-2] == "2 of 3 runs are finished"


def test_a_run_that_leaves_no_scores_has_failed(campaign, said):
    ledger = do(campaign, Jobs(0, scores=None), TRIALS[:1])
    assert ledger.runs[TRIALS[0].name].status == "failed"
    assert "failed (it left no metrics.json)" in said[0]


@pytest.mark.parametrize(("seconds", "lines"), [(4.0, 1), (0.0, 0)])
def test_a_run_that_was_stopped_is_no_failure_and_one_not_started_not_worth_a_line(seconds, lines, campaign, said):
    ledger = do(campaign, Jobs(STOPPED, seconds=seconds), TRIALS[:1])
    assert ledger.runs[TRIALS[0].name].status == ("stopped" if lines else "running")
    assert said == [f"1/1 {TRIALS[0].name}: stopped"] * lines


def test_the_score_that_counts_is_the_one_asked_for_or_that_of_the_best_threshold(campaign, tmp_path):
    assert campaign.metric_of({"f1": 1.0, "best_f1": 2.0}) == "best_f1"
    assert campaign.value({"f1": 1}, "a run") == 1.0
    asked = Campaign(folder=tmp_path, command=campaign.command, say=print, metric="exact")
    with pytest.raises(SweepError, match=r"^a run has no score 'exact'; wanted one of f1, best_f1$"):
        asked.value({"f1": 1.0, "best_f1": 2.0}, "a run")


def test_flags_that_no_run_can_have_are_found_before_the_first(campaign):
    campaign.check(TRIALS)
    bad = trial_of({}, {"training.batch-size": 0}, [])
    with pytest.raises(ConfigError, match="batch-size is 0"):
        campaign.check([*TRIALS, bad])


def test_the_name_of_a_group_is_no_longer_than_wandb_takes(campaign):
    long = trial_of({"model": "x" * 300}, {"seed": 1}, [])
    jobs = Jobs(0)
    do(campaign, jobs, [long])
    assert len(jobs.jobs[0].group) == 128
    assert campaign.folder_of(long) == campaign.folder / long.name != Path()
