"""sweep.json: what is known of runs survives the process, and is damaged or whole."""

import json

import pytest

from qa.errors import SweepError
from qa.experiments.ledger import FILE, Ledger
from qa.experiments.settings import trial_of

TRIAL = trial_of({"training.learning-rate": 1e-3}, {"training.learning-rate": 1e-3, "seed": 4}, [])


def test_a_new_folder_has_no_runs(tmp_path):
    ledger = Ledger.open(tmp_path)
    assert (ledger.runs, ledger.proposed) == ({}, [])
    assert not (tmp_path / FILE).exists()


def test_attempts_and_their_seconds_add_up_over_processes(tmp_path):
    for attempt, (status, seconds) in enumerate((("failed", 2.0), ("stopped", 3.0), ("finished", 5.0)), start=1):
        ledger = Ledger.open(tmp_path)
        ledger.begin(TRIAL)
        assert Ledger.open(tmp_path).runs[TRIAL.name].status == "running"
        ledger.end(TRIAL.name, status, exit_status=0, seconds=seconds)
        entry = Ledger.open(tmp_path).runs[TRIAL.name]
        assert (entry.attempts, entry.status) == (attempt, status)
    assert entry.seconds == 10.0
    assert (entry.setting, entry.flags) == (dict(TRIAL.setting), dict(TRIAL.flags))


def test_a_run_is_finished_while_its_scores_are_there(tmp_path):
    ledger, folder = Ledger.open(tmp_path), tmp_path / TRIAL.name
    assert not ledger.is_finished(TRIAL, folder)
    ledger.begin(TRIAL)
    ledger.end(TRIAL.name, "finished", exit_status=0, seconds=1.0)
    assert not ledger.is_finished(TRIAL, folder)
    folder.mkdir()
    (folder / "metrics.json").write_text('{"f1": 3.5}')
    assert ledger.is_finished(TRIAL, folder)
    assert ledger.scores(folder) == {"f1": 3.5}
    ledger.end(TRIAL.name, "failed", exit_status=1, seconds=1.0)
    assert not ledger.is_finished(TRIAL, folder)


@pytest.mark.parametrize("content", [None, "", "{", "\xff"])
def test_scores_that_cannot_be_read_are_none(content, tmp_path):
    if content is not None:
        (tmp_path / "metrics.json").write_bytes(content.encode("latin-1"))
    assert Ledger.open(tmp_path).scores(tmp_path) is None


def test_proposed_settings_are_kept_in_their_order(tmp_path):
    ledger = Ledger.open(tmp_path)
    for rate in (3.0, 1.0, 2.0):
        ledger.propose({"rate": rate})
    assert Ledger.open(tmp_path).proposed == [{"rate": 3.0}, {"rate": 1.0}, {"rate": 2.0}]


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"runs": {}}', json.dumps({"runs": {"a": {"status": "done"}}, "proposed": []})]
)
def test_a_damaged_record_is_named(content, tmp_path):
    (tmp_path / FILE).write_text(content)
    with pytest.raises(SweepError, match=r"cannot read .*sweep\.json"):
        Ledger.open(tmp_path)
