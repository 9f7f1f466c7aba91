"""Runs of train_qa.py in processes of their own, started within a second: forked from one that has imported it all."""

import contextlib
import json
import multiprocessing
import os
import re
import signal
import socket
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import load_file

ROOT = Path(__file__).parents[2]
RESULTS = ("metrics.json", "predictions.json", "nbest_predictions.json", "null_odds.json")
BY_THE_CLOCK = ("seconds", "_per_second", "mfu", "_wait_share", "slowest_process", "slowest_to_median")
BOUND = 150.0
"""Seconds in which anything that ends must have ended, on a busy machine too."""
WINDOWS = ["--features.max-length", "96", "--features.doc-stride", "24", "--features.max-question-length", "24"]
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["train_qa", "tests.support.attempts"])


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def _main(arguments, environment, log, before):
    """The life of one process: what a launcher would set, then train_qa.py; `before` injects a fault."""
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    sys.stdout, sys.stderr = (open(stream, "w", buffering=1, closefd=False) for stream in (1, 2))  # noqa: SIM115
    os.environ.update(environment)
    sys.argv = ["train_qa.py", *arguments]
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # also where the tests run under nohup
    import train_qa

    if before is not None:
        before()
    sys.exit(train_qa.main())


class Attempt:
    """The processes of one attempt at a run; each calls `before` first, and has further flags `per_process`.

    `start`: how they are started, a context of multiprocessing.
    """

    def __init__(self, folder, reader, *flags, processes=1, before=None, per_process=None, start=FORKS):
        folder.parent.mkdir(parents=True, exist_ok=True)
        self.log = folder.with_name(f"{folder.name}.log")
        self.log.write_text("")
        arguments = ["--model", str(reader), "--output-dir", str(folder), *WINDOWS, "--training.log-every", "1"]
        arguments += ["--features.cache-dir", str(folder.parent / "cache"), "--tracking.report-to", "none"]
        arguments += ["--max-train-examples", "30", "--max-validation-examples", "9", *flags]
        port = str(free_port())
        self.processes = []
        for rank in range(processes):
            environment = {"OMP_NUM_THREADS": "2", "ACCELERATE_USE_CPU": "true", "WORLD_SIZE": str(processes)}
            if processes > 1:
                environment |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": str(processes)}
                environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
            own = per_process[rank] if per_process else []
            started = start.Process(target=_main, args=([*arguments, *own], environment, str(self.log), before))
            started.start()
            self.processes.append(started)

    def output(self):
        return self.log.read_text()

    def is_running(self):
        return any(process.exitcode is None for process in self.processes)

    def wait_for(self, pattern):
        ends = time.monotonic() + BOUND
        while True:
            running = self.is_running()  # before reading, so that nothing that was written can be missed
            if re.search(pattern, self.output()):
                return
            assert running, self.output()
            assert time.monotonic() < ends, self.output()
            time.sleep(0.02)

    def signal(self, rank, number):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.processes[rank].pid, number)

    def statuses(self, within=BOUND):
        """Wait for the end; the exit status of each process, negative if a signal ended it."""
        ends = time.monotonic() + within
        for process in self.processes:
            process.join(max(0.1, ends - time.monotonic()))
        running = self.is_running()
        self.kill()
        assert not running, f"still running after {within:.0f} s: {self.output()}"
        return [process.exitcode for process in self.processes]

    def kill(self):
        for process in self.processes:
            process.kill()
            process.join()


def finish(folder, reader, *flags, within=BOUND, **options):
    attempt = Attempt(folder, reader, *flags, **options)
    assert set(attempt.statuses(within)) == {0}, attempt.output()
    return attempt.output()


def assert_same_end(one, two):
    """Compare what two runs have left, bit by bit: weights, optimizer, progress, best model, results and history."""
    last = [max((folder / "checkpoints").glob("step-*")) for folder in (one, two)]
    assert last[0].name == last[1].name
    files = [sorted(path.name for path in at.glob("*.safetensors")) for at in last]  # of shards several
    assert files[0] == files[1]
    kinds = {re.split("[-.]", name)[0] for name in files[0]}
    assert kinds >= {"model", "optimizer"} or kinds == {"shard"}, kinds
    for file in files[0]:
        tensors = [load_file(path / file) for path in last]
        assert tensors[0].keys() == tensors[1].keys()
        assert all(torch.equal(tensors[0][name], tensors[1][name]) for name in tensors[0]), file
    progress = [json.loads((path / "state.json").read_text())["progress"] for path in last]
    for one_progress in progress:
        del one_progress["tracker_ids"]  # drawn at random
        for report in one_progress["unlogged"]:
            for name in ("seconds", "waited", "own_seconds"):  # by the clock
                del report[name]
    assert progress[0] == progress[1], progress
    for name in (*RESULTS, "model/model.safetensors", "model/reader.json"):
        assert (one / name).read_bytes() == (two / name).read_bytes(), name
    courses = [_course(folder / "history.jsonl") for folder in (one, two)]
    assert courses[0] == courses[1], courses


def _course(history):
    """Return the lines of a history without what the clock tells."""
    lines = [json.loads(line) for line in history.read_text().splitlines()]
    return [{name: value for name, value in line.items() if not name.endswith(BY_THE_CLOCK)} for line in lines]
