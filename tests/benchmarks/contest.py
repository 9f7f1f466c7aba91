"""Two contestants, each in a process of its own, take turns; the median of the ratios of neighbouring turns counts."""

import contextlib
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.benchmarks.contestants import Setup

ROOT = Path(__file__).parent.parent.parent


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """What is measured, against whom, and by how many times ours must be better."""

    name: str
    opponent: str
    unit: str
    bar: float
    ours: Callable[[Setup], Iterator[float]]
    theirs: Callable[[Setup], Iterator[float]]
    turns: int = 3
    measures: str = "rate"
    """rate: amount a second; value: what contestants give, more is better; cost: the same, less is better."""
    needs_model: bool = False
    """It says nothing of a model that was not trained."""
    needs_removed: bool = False
    """The opponent needs an environment of its own."""
    precision: str = "no"
    """Mixed precision of both sides."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """One line of the table."""

    stage: str
    opponent: str
    ours: float
    theirs: float
    unit: str
    ratio: float
    bar: float


class Contestant:
    """A process that does one repetition when it is told to."""

    def __init__(self, stage: str, side: str, setup: Setup) -> None:
        command = [sys.executable, "-m", "tests.benchmarks.worker", stage, side, json.dumps(dataclasses.asdict(setup))]
        environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment
        )
        self._read()  # it has warmed up

    def turn(self) -> dict[str, float]:
        """Return what one repetition gave, and its seconds."""
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return self._read()

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()

    def _read(self) -> dict[str, float]:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{' '.join(self.process.args[3:5])} ended with code {self.process.wait()}")
        return json.loads(line)


@contextlib.contextmanager
def neighbours(count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run processes that want a core each all the time, as other people's jobs on a shared machine do."""
    with contextlib.ExitStack() as stack:
        running = []
        for _ in range(count):
            running.append(stack.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"])))
            stack.callback(running[-1].kill)
        yield running


def serve(contestant: Iterator[float]) -> None:
    """Be the process of a contestant: warm up, then one repetition for every line of standard input."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print goes to standard error
    next(contestant)
    print("{}", file=answers, flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        given = next(contestant)
        print(json.dumps({"given": given, "seconds": time.perf_counter() - began}), file=answers, flush=True)


def compete(stage: Stage, setup: Setup) -> Result:
    """Let the contestants of a stage take turns."""
    setup = dataclasses.replace(setup, precision=stage.precision)
    with contextlib.ExitStack() as stack:
        ours, theirs = (
            stack.enter_context(contextlib.closing(Contestant(stage.name, side, setup))) for side in ("ours", "theirs")
        )
        turns = [(ours.turn(), theirs.turn()) for _ in range(stage.turns)]
    values = [(_value(our, stage), _value(their, stage)) for our, their in turns]
    better = [their / our if stage.measures == "cost" else our / their for our, their in values]
    ours_median, theirs_median = (statistics.median(side) for side in zip(*values, strict=True))
    return Result(
        stage=stage.name,
        opponent=stage.opponent,
        ours=ours_median,
        theirs=theirs_median,
        unit=stage.unit,
        ratio=statistics.median(better),
        bar=stage.bar,
    )


def _value(turn: dict[str, float], stage: Stage) -> float:
    return turn["given"] / turn["seconds"] if stage.measures == "rate" else turn["given"]
