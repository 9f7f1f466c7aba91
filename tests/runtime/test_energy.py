"""Energy: added up by attempts, told by the real CodeCarbon where it is installed, and written nowhere else."""

import json
import socket
import sys

import pytest
from accelerate import Accelerator

from qa.errors import StorageError
from qa.runtime.energy import ENERGY_FILE, Energy, EnergyMeter, read_energy
from qa.tracking.reporter import Outcome
from qa.tracking.trackers import start_trackers
from qa.training.progress import Progress
from tests.support.tracking import config_for


def reading(attempt, cpu, *, country=None):
    parts = {"cpu_energy": cpu, "gpu_energy": 2.0, "ram_energy": 0.5, "emissions": cpu / 2, "duration": 1.0}
    return {"attempt": attempt, **parts, "country_name": country, "codecarbon_version": "3.3.2"}


def write(path, *readings, cut=""):
    path.write_text("".join(json.dumps(one) + "\n" for one in readings) + cut)
    return path


def test_the_last_readings_of_all_attempts_are_added_up(tmp_path):
    """The second attempt was killed while it wrote."""
    lines = [reading("a", 1.0), reading("a", 3.0), reading("b", 0.5), reading("b", 1.5, country="France")]
    file = write(tmp_path / ENERGY_FILE, *lines, cut='{"attempt": "b", "cpu_en')
    found = read_energy(file)
    assert found == Energy(attempts=2, cpu=4.5, gpu=4.0, memory=1.0, emissions=2.25, country="France", version="3.3.2")
    assert found.total == 9.5


def test_nothing_counted_is_none_and_damage_is_named(tmp_path):
    file = tmp_path / ENERGY_FILE
    assert read_energy(file) is None
    assert read_energy(write(file)) is None
    file.write_text("[]\n")
    with pytest.raises(StorageError, match=r"energy\.jsonl"):
        read_energy(file)


@pytest.mark.usefixtures("fresh_accelerator")
def test_a_package_that_does_not_start_costs_the_run_nothing(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "codecarbon", None)
    assert start_trackers(Accelerator(cpu=True), config_for(tmp_path, "codecarbon"), Progress()) == []
    assert "codecarbon does not start" in caplog.text


@pytest.mark.usefixtures("fresh_accelerator")
def test_the_real_package_counts_attempt_by_attempt_and_touches_nothing_else(tmp_path, monkeypatch):
    pytest.importorskip("codecarbon", reason="counts by CodeCarbon: pip install 'extractive-qa[energy]'")

    def refuse(*_):
        raise AssertionError("asked the network")

    run, home = tmp_path / "run", tmp_path / "home"
    run.mkdir(), home.mkdir()
    monkeypatch.chdir(home)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("CODECARBON_COUNTRY_ISO_CODE", "FRA")
    monkeypatch.setattr(socket.socket, "connect", refuse)
    totals = []
    for _ in range(2):
        (reporter,) = start_trackers(Accelerator(cpu=True), config_for(run, "codecarbon"), Progress())
        reporter.log({"train/loss": 1.0}, 1)
        reporter.finish(Outcome())
        totals.append(read_energy(run / ENERGY_FILE))
    assert [one.attempts for one in totals] == [1, 2]
    assert 0 < totals[0].total < totals[1].total
    assert totals[1].country == "France"
    assert [file.name for file in run.iterdir()] == [ENERGY_FILE]
    assert list(home.iterdir()) == []
    meter = EnergyMeter(run / "other.jsonl")  # beside another one, as two runs on a machine
    meter.stop()
    assert read_energy(run / "other.jsonl").attempts == 1
