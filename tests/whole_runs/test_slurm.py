"""The job for SLURM, with stand-ins for SLURM's own commands: it saves when its time is up, and queues again."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.support import tiny
from tests.support.attempts import BOUND, ROOT, WINDOWS, assert_same_end, finish, free_port

pytestmark = [pytest.mark.processes, pytest.mark.slow]

JOB = ROOT / "accelerate_configs" / "slurm.sh"
FLAGS = ["--training.max-steps", "150", "--training.batch-size", "4", "--training.save-every", "0"]
FLAGS += ["--training.log-every", "1", "--training.evaluate-every", "0", "--threads", "1"]
DATA = ["--max-train-examples", "30", "--max-validation-examples", "9", "--tracking.report-to", "none"]
SRUN = """#!/bin/bash
# Starts two tasks; its status is the largest of theirs.
shift
for task in 0 1; do SLURM_PROCID=$task SLURM_LOCALID=$task "$@" & started="$started $!"; done
for one in $started; do wait "$one"; status=$?; [ "$status" -gt "${largest:-0}" ] && largest=$status; done
exit "${largest:-0}"
"""
SCONTROL = """#!/bin/bash
[ "$1" = show ] && echo localhost || echo "$@" >> "$QUEUE"
"""


@pytest.fixture
def slurm(tmp_path):
    """The environment of a job of two tasks on one machine."""
    commands = tmp_path / "commands"
    commands.mkdir()
    for name, script in (("srun", SRUN), ("scontrol", SCONTROL)):
        (commands / name).write_text(script)
        (commands / name).chmod(0o755)
    path = os.pathsep.join([str(commands), str(Path(sys.executable).parent), os.environ["PATH"]])
    job = {"SLURM_JOB_ID": str(free_port()), "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2"}
    return (
        os.environ
        | job
        | {
            "PATH": path,
            "SLURM_JOB_NODELIST": "localhost",
            "QUEUE": str(tmp_path / "queue"),
            "ACCELERATE_MIXED_PRECISION": "no",
            "ACCELERATE_USE_CPU": "true",
        }
    )


def start(environment, *flags):
    return subprocess.Popen(
        ["bash", str(JOB), *flags],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def test_a_job_whose_time_is_up_queues_again_and_goes_on(slurm, tmp_path):
    reader = tiny.save_reader(tmp_path / "reader", "bert")
    flags = ["--model", str(reader), "--output-dir", str(tmp_path / "run"), *WINDOWS, *FLAGS, *DATA]
    flags += ["--features.cache-dir", str(tmp_path / "cache")]
    first = start(slurm, *flags)
    try:
        assert any("step 2/" in line for line in iter(first.stdout.readline, ""))
        below = psutil.Process(first.pid).children(recursive=True)
        tasks = [one for one in below if "train_qa" in one.cmdline()]
        assert len(tasks) == 2
        for task in tasks:
            task.send_signal(signal.SIGUSR1)
        output = first.communicate(timeout=BOUND)[0]
    finally:
        first.kill()
    assert first.returncode == 138, output
    assert (tmp_path / "queue").read_text() == f"requeue {slurm['SLURM_JOB_ID']}\n"
    second = start(slurm, *flags)
    output = second.communicate(timeout=2 * BOUND)[0]
    assert second.returncode == 0, output
    assert "continuing from" in output
    assert json.loads((tmp_path / "run" / "environment.json").read_text())["processes"] == 2
    assert len((tmp_path / "queue").read_text().splitlines()) == 1
    finish(tmp_path / "undisturbed", reader, *FLAGS, processes=2)
    assert_same_end(tmp_path / "run", tmp_path / "undisturbed")
