"""Kill runs at drawn moments of every phase, resume each, compare its end with the undisturbed run's bit by bit.

    python -m tests.benchmarks.kills [--kills 1000] [--jobs 1] [--minutes M] [--seed 0] [--sharded] [--output FILE]

Runs of one and of two processes (gloo) in turn, or of two that shard the model by FSDP and write their parts of a
checkpoint while they train. They save after every step and evaluate after every third. An attempt is forked from a
process that has imported everything and computed nothing; one in fifty is started anew, by `accelerate launch`, except
with shards: a launcher shards on accelerators only. It is killed (SIGKILL, its processes in any order) soon after it
has come, for the first or a later time, into a phase drawn evenly from all; then it is resumed and killed again, three
to nine times, until it may come to its end. In which phase the main process really died, it has noted itself. The speed
of the machine, which MFU needs, is not measured in forks: it would take half of their time. Exits with 1, and keeps the
folder, if an end differs.
"""

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from functools import partial
from pathlib import Path

import psutil

from qa.training import throughput
from tests.support import faults, tiny
from tests.support.attempts import ROOT, WINDOWS, Attempt, assert_same_end, finish
from tests.support.phases import PHASES, await_phase, note_phases, phase_of

FLAGS = ["--training.max-steps", "12", "--training.save-every", "1", "--training.evaluate-every", "3"]
FLAGS += ["--training.batch-size", "2", "--threads", "1"]
PHASE_SECONDS = 0.3
"""At most so long after the beginning of a phase: longer than most of them take."""
VISITS = {"steps": 4, "saving": 4, "evaluating": 2, "exporting": 2}
"""How often an attempt may come into a phase before it is killed there; into others once."""
FRESH = 0.02
"""Share of attempts that are started anew."""
PATIENCE = 900.0
"""Seconds after which what has not ended has hung, on a busy machine too."""
LAUNCH = [str(Path(sys.executable).parent / "accelerate"), "launch", "--main_process_port", "0", "--config_file"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=1, help="runs at the same time")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="after which nothing is killed any more")
    parser.add_argument("--seed", default="0", help="of the moments")
    parser.add_argument("--sharded", action="store_true", help="by FSDP, in two processes")
    parser.add_argument("--output", type=Path, help="JSON file for the count, rewritten after every run")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="qa-kills-"))
    bench = Bench(folder, arguments)
    jobs = [threading.Thread(target=bench.work, args=(number,)) for number in range(arguments.jobs)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    print(bench)
    if bench.wrong:
        print(f"see {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


class Bench:
    """What is done, by all jobs together."""

    def __init__(self, folder: Path, arguments: argparse.Namespace) -> None:
        self.folder, self.arguments = folder, arguments
        self.began = time.monotonic()
        self.kills, self.phases, self.fresh, self.ends = 0, Counter(), 0, Counter()
        self.wrong: list[str] = []
        self._lock, self._runs = threading.Lock(), 0
        self.reader = tiny.save_reader(folder / "reader", "bert", num_hidden_layers=1)
        self.data = self._data()
        self.numbers = (2,) if arguments.sharded else (1, 2)
        for processes in self.numbers:
            before = partial(begin, sharded=arguments.sharded)
            finish(self.whole(processes), self.reader, *self.flags, processes=processes, before=before)
            environment = json.loads((self.whole(processes) / "environment.json").read_text(encoding="utf-8"))
            assert (environment["distributed_type"] == "FSDP") == arguments.sharded

    def __str__(self) -> str:
        ends = ", ".join(f"{number} with {processes}" for processes, number in sorted(self.ends.items()))
        phases = ", ".join(f"{name} {self.phases[name]}" for name in PHASES)
        said = [f"{self.kills} kills in {(time.monotonic() - self.began) / 60:.0f} minutes: {phases}"]
        said += [f"{self.fresh} of them of processes started anew"]
        said += [f"runs that came to the undisturbed end, by processes: {ends or 'none'}", *self.wrong]
        return "\n".join(said)

    @property
    def flags(self) -> list[str]:
        return [*FLAGS, "--train-data", str(self.data[0]), "--validation-data", str(self.data[1])]

    def whole(self, processes: int) -> Path:
        return self.folder / f"whole-{processes}" / "run"

    def work(self, job: int) -> None:
        """Kill one run after the other; each job has its own moments."""
        chance = random.Random(f"{self.arguments.seed}-{job}")
        while self._goes_on():
            with self._lock:
                self._runs += 1
                number = self._runs
            processes, folder = self.numbers[number % len(self.numbers)], self.folder / f"killed-{number}"
            try:
                self._kill_and_finish(folder / "run", processes, chance)
            except AssertionError as error:
                self.wrong.append(f"the end of {folder} differs: {error}")
                return
            shutil.rmtree(folder)

    def _kill_and_finish(self, folder: Path, processes: int, chance: random.Random) -> None:
        for _ in range(chance.randint(3, 9)):
            if not self._goes_on():
                continue
            is_fresh = chance.random() < FRESH and not self.arguments.sharded
            died_in = (self._kill_fresh if is_fresh else self._kill_fork)(folder, processes, chance)
            with self._lock:
                self.kills += died_in is not None
                self.fresh += died_in is not None and is_fresh
                self.phases.update([died_in] if died_in is not None else [])
            if died_in is None:
                break
        else:
            before = partial(begin, sharded=self.arguments.sharded)
            last = Attempt(folder, self.reader, *self.flags, "--resume", processes=processes, before=before)
            assert set(last.statuses(PATIENCE)) == {0}, last.output()
        assert_same_end(folder, self.whole(processes))
        with self._lock:
            self.ends[processes] += 1
            print(self, flush=True)
            if self.arguments.output:
                self._write()

    def _kill_fork(self, folder: Path, processes: int, chance: random.Random) -> str | None:
        """Go on with a run and kill it; return the phase in which its main process died, None if it came to its end."""
        notes = folder.with_name("phases")
        notes.unlink(missing_ok=True)
        before = partial(begin, notes, sharded=self.arguments.sharded)
        attempt = Attempt(folder, self.reader, *self.flags, "--resume", processes=processes, before=before)
        phase = chance.choice(PHASES)
        if await_phase(notes, PHASES.index(phase), chance.randint(1, VISITS.get(phase, 1)), attempt.is_running):
            time.sleep(PHASE_SECONDS * chance.random() ** 2)
        for rank in chance.sample(range(processes), processes):
            attempt.signal(rank, signal.SIGKILL)
        statuses = attempt.statuses(PATIENCE)
        if -signal.SIGKILL in statuses:
            return PHASES[phase_of(notes)]
        assert set(statuses) == {0}, attempt.output()
        return None

    def _kill_fresh(self, folder: Path, processes: int, chance: random.Random) -> str | None:
        """Do the same by a launcher; its phase is told by its log."""
        config = "cpu.yaml" if processes == 1 else "cpu_2_processes.yaml"
        command = [*LAUNCH, f"accelerate_configs/{config}", "train_qa.py", "--model", str(self.reader), *WINDOWS]
        command += ["--output-dir", str(folder), "--features.cache-dir", str(folder.parent / "cache")]
        command += ["--training.log-every", "1", "--tracking.report-to", "none", *self.flags, "--resume"]
        output = folder.with_name("launched.log")
        log, began = folder / "log.txt", _size(folder / "log.txt")
        with output.open("w") as file, subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=file) as launcher:
            wanted, ends = chance.randint(0, 12), time.monotonic() + PATIENCE
            while launcher.poll() is None and _lines(log, began) < wanted and time.monotonic() < ends:
                time.sleep(0.005)
            if wanted == 0:
                time.sleep(chance.uniform(0.0, 20.0))
            else:
                time.sleep(PHASE_SECONDS * chance.random())
            group = (
                [launcher, *psutil.Process(launcher.pid).children(recursive=True)] if launcher.poll() is None else []
            )
            for process in chance.sample(group, len(group)):
                process.kill()
            for process in group:
                process.wait(PATIENCE)
        if launcher.returncode == -signal.SIGKILL:
            return _phase_by_log(log, began)
        assert launcher.returncode == 0, output.read_text()
        return None

    def _goes_on(self) -> bool:
        in_time = time.monotonic() - self.began < 60 * self.arguments.minutes
        return in_time and self.kills < self.arguments.kills and not self.wrong

    def _data(self) -> tuple[Path, Path]:
        paths = self.folder / "train.jsonl", self.folder / "validation.jsonl"
        for path, count in zip(paths, (8, 3), strict=True):
            rows = tiny.sample_rows(path.stem)[:count]
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return paths

    def _write(self) -> None:
        count = {"kills": self.kills, "phases": self.phases, "fresh": self.fresh, "ends": self.ends}
        count |= {"minutes": (time.monotonic() - self.began) / 60, "wrong": self.wrong}
        self.arguments.output.write_text(json.dumps(count, indent=2) + "\n", encoding="utf-8")


def begin(notes: Path | None = None, *, sharded: bool) -> None:
    """Say how fast the machine is without measuring it, shard, and note the phases."""
    throughput.peak_flops = lambda *_: 1e12
    if sharded:
        faults.sharded_by_fsdp(faults.fsdp_settings())
    if notes is not None:
        note_phases(notes)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _lines(path: Path, begin: int) -> int:
    if not path.exists():
        return 0
    with path.open("rb") as file:
        file.seek(begin if begin <= _size(path) else 0)
        return file.read().count(b"\n")


def _phase_by_log(path: Path, begin: int) -> str:
    """Tell by the last line of its log in which phase a run was: what it says of steps, of a score, or neither."""
    if _lines(path, begin) == 0:
        return "starting"
    last = path.read_text(errors="replace").splitlines()[-1]
    if "step 12: " in last:
        return "ending"
    if any(f"step {step}/12" in last for step in (3, 6, 9, 12)):
        return "evaluating"
    return "steps" if "step " in last else "loading"


if __name__ == "__main__":
    sys.exit(main())
