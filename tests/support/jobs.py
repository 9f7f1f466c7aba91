"""Jobs with small shards, and a wait that ends when something is there."""

import os
import signal
import threading
import time

from qa.jobs.job import answer_shard, begin_job, finish_job, plan_job
from tests.support.predictors import pairs
from tests.support.rows import write

BOUND = 240.0
"""Seconds in which anything that happens must have happened, on a busy machine too."""


def write_rows(folder, *, files=3, each=8, times=1):
    """Data with a nested column, a bad row, spaces and other letters in its path."""
    folder.mkdir(parents=True)
    rows = [row | {"id": f"q{at % 5}", "meta": {"n": at, "tags": ["ä", None]}} for at, row in enumerate(pairs(each))]
    for at in range(files):
        write(folder / f"{at} ü.jsonl", [*rows * times, {"question": "Who?", "context": None, "id": "bad", "meta": {}}])
    return folder


def locally(spec, data, out, **given):
    """Do a job in this process; the content of its files."""
    job = plan_job(spec, data, out, **given)
    begin_job(job)
    finish_job(job, (answer_shard(job, shard) for shard in job.left))
    return parts(out)


def parts(out):
    return {path.name: path.read_bytes() for path in sorted(out.glob("part-*"))}


def wait_for(fact):
    ends = time.monotonic() + BOUND
    while not (found := fact()):
        assert time.monotonic() < ends
        time.sleep(0.02)
    return found


def assert_kills_cost_nothing(spec, folder, workers, run):
    """Kill all workers of an engine when its first shard is there; the files are those of one process."""
    data = write_rows(folder / "data", times=20)
    wanted = locally(spec, data, folder / "local", size=20_000)
    job = plan_job(spec, data, folder / "out", size=20_000)
    begin_job(job)
    killed = []

    def kill():
        wait_for(lambda: list(job.out.glob(".part-*")))
        for worker in workers():
            os.kill(worker, signal.SIGKILL)
            killed.append(worker)

    thread = threading.Thread(target=kill)
    thread.start()
    tally = finish_job(job, run(job))
    thread.join()
    assert killed
    assert tally.errors <= 3  # shards that were there when their task was done again count as skipped
    assert parts(job.out) == wanted
