"""Kill runs at random moments, resume each, compare its end with the undisturbed run's bit by bit; prints the count.

    python -m tests.benchmarks.kills [--kills 1000] [--minutes M] [--seed 0] [--output kills.json]

Runs of one and of two processes in turn, which save after every step and evaluate after every tenth. A run is killed
(SIGKILL, its processes in any order) at a moment drawn from the whole time that an undisturbed one takes, then resumed
and killed again, until it comes to its end. Exits with 1, and keeps the folder, at the first end that differs.
"""

import argparse
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.support import tiny
from tests.support.attempts import Attempt, assert_same_end, finish

FLAGS = ["--training.max-steps", "40", "--training.save-every", "1", "--training.evaluate-every", "10"]
FLAGS += ["--training.batch-size", "2"]
PHASES = ("starting", "loading and resuming", "steps and saving", "evaluating", "end")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="after which no run is started")
    parser.add_argument("--seed", default="0", help="of the moments")
    parser.add_argument("--output", type=Path, help="JSON file for the count")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="qa-kills-"))
    count = Count()
    try:
        kill_runs(folder, arguments, count)
    except AssertionError as error:
        print(f"{count}\nthe end differs, see {folder}: {error}")
        return 1
    print(count)
    if arguments.output:
        arguments.output.write_text(json.dumps(vars(count), indent=2) + "\n", encoding="utf-8")
    shutil.rmtree(folder)
    return 0


class Count:
    """What has been done."""

    def __init__(self) -> None:
        self.kills, self.ends = 0, Counter()
        self.phases = Counter()

    def __str__(self) -> str:
        ends = ", ".join(f"{number} with {processes}" for processes, number in sorted(self.ends.items()))
        phases = ", ".join(f"{name} {self.phases[name]}" for name in PHASES)
        return f"{self.kills} kills ({phases}); runs that came to the undisturbed end, by processes: {ends or 'none'}"


def kill_runs(folder: Path, arguments: argparse.Namespace, count: Count) -> None:
    chance, ends_at = random.Random(arguments.seed), time.monotonic() + 60 * arguments.minutes
    reader = tiny.save_reader(folder / "reader", "bert", num_hidden_layers=1)
    seconds = {}
    for processes in (1, 2):
        began = time.monotonic()
        finish(folder / f"whole-{processes}", reader, *FLAGS, processes=processes)
        seconds[processes] = time.monotonic() - began
    run = 0
    while count.kills < arguments.kills and time.monotonic() < ends_at:
        run += 1
        processes = 1 + run % 2
        killed = folder / f"killed-{run}"
        while kill_once(killed, reader, processes, chance.uniform(0.0, seconds[processes]), chance, count):
            if count.kills >= arguments.kills or time.monotonic() >= ends_at:
                finish(killed, reader, *FLAGS, "--resume", processes=processes)
                break
        assert_same_end(killed, folder / f"whole-{processes}")
        count.ends[processes] += 1
        shutil.rmtree(killed)


def kill_once(folder: Path, reader: Path, processes: int, after: float, chance: random.Random, count: Count) -> bool:
    """Go on with a run, and kill it after so many seconds; return False if it came to its end before."""
    attempt = Attempt(folder, reader, *FLAGS, "--resume", processes=processes)
    ends = time.monotonic() + after
    while attempt.is_running() and time.monotonic() < ends:
        time.sleep(0.002)
    if not attempt.is_running():
        assert set(attempt.statuses()) == {0}, attempt.output()
        return False
    for rank in chance.sample(range(processes), processes):
        attempt.signal(rank, signal.SIGKILL)
    attempt.statuses()
    count.kills += 1
    count.phases[phase_of(attempt.output(), folder)] += 1
    return True


def phase_of(output: str, folder: Path) -> str:
    """Tell by its log in which phase a run was."""
    lines = output.strip().splitlines()
    last = lines[-1] if lines else ""
    if not lines:
        return "starting" if not (folder / ".owner.json").exists() else "loading and resuming"
    if "step 40: " in last:
        return "end"
    if any(f"step {step}/40" in last for step in (10, 20, 30, 40)):
        return "evaluating"
    return "steps and saving" if "step " in last else "loading and resuming"


if __name__ == "__main__":
    sys.exit(main())
