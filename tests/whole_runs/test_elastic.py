"""Restarts under torchrun: a process that dies costs the steps since the last checkpoint, and nothing else."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from tests.support import tiny
from tests.support.attempts import BOUND, ROOT, WINDOWS, assert_same_end, finish

pytestmark = [pytest.mark.processes, pytest.mark.slow]

FLAGS = ["--training.max-steps", "6", "--training.batch-size", "4", "--training.save-every", "1"]
FLAGS += ["--training.log-every", "1", "--training.evaluate-every", "0", "--threads", "1"]
DATA = ["--max-train-examples", "30", "--max-validation-examples", "9", "--tracking.report-to", "none"]
TORCHRUN = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--max-restarts", "1", "--standalone"]


def wait_for(condition, process):
    ends = time.monotonic() + BOUND
    while not condition():
        assert process.poll() is None, "it ended before"
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_a_killed_process_is_started_again_and_the_run_goes_on_from_its_checkpoint(tmp_path):
    reader = tiny.save_reader(tmp_path / "reader", "bert")
    run, log = tmp_path / "run", tmp_path / "log.txt"
    command = [sys.executable, *TORCHRUN, "train_qa.py", "--model", str(reader), "--output-dir", str(run)]
    command += [*WINDOWS, *FLAGS, *DATA, "--features.cache-dir", str(tmp_path / "cache"), "--resume"]
    with log.open("w") as file:
        environment = os.environ | {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
        launcher = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT)
    try:
        wait_for(lambda: list(run.glob("checkpoints/step-*")), launcher)
        workers = [one for one in psutil.Process(launcher.pid).children() if "train_qa.py" in one.cmdline()]
        assert len(workers) == 2
        workers[1].send_signal(signal.SIGKILL)
        assert launcher.wait(2 * BOUND) == 0, log.read_text()
    finally:
        launcher.kill()
    assert log.read_text().count("continuing from") == 1
    finish(tmp_path / "undisturbed", reader, *FLAGS, processes=2)
    assert_same_end(run, tmp_path / "undisturbed")
