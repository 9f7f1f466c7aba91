"""Tables at W&B without a training run: a run of their own, or an error in one line."""

import pytest
import wandb

from qa.errors import TrackerError
from qa.tracking.wandb_tables import send_tables
from tests.support.wandb_files import offline_runs

TABLES = {"scores": (("name", "f1"), [("a", 1.5), ("b", 2.5)])}


def send(**changes):
    given = {"project": "reports", "name": "a / b", "tables": TABLES, "job_type": "compare", "config": {"examples": 3}}
    given |= changes
    return send_tables(
        given["project"], given["name"], given["tables"], job_type=given["job_type"], config=given["config"]
    )


def test_an_offline_run_holds_the_tables_and_says_how_to_upload_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    said = send()
    (run,) = offline_runs(tmp_path)
    assert said == f"wandb sync {run.folder}"
    assert (run.record.project, run.record.display_name, run.record.job_type) == ("reports", "a / b", "compare")
    assert run.config["examples"] == 3
    (table,) = run.tables().values()
    assert (table["columns"], table["data"]) == (["name", "f1"], [["a", 1.5], ["b", 2.5]])


def test_a_client_that_starts_in_no_mode_is_one_error_that_names_them(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")

    def broken(**_):
        raise RuntimeError("no disk")

    monkeypatch.setattr(wandb, "init", broken)
    with pytest.raises(TrackerError, match="W&B does not take the tables: it starts in none of the modes offline"):
        send()
    assert "W&B does not start offline: no disk" in caplog.text


def test_what_the_client_does_not_take_is_an_error_of_ours(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    with pytest.raises(TrackerError, match="W&B does not take the tables: "):
        send(tables={"torn": (("name", "f1"), [("a",)])})
