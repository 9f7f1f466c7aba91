"""In which phase of a run each of its processes is, told by the process itself in a file that outlives it."""

import os
import time
from functools import wraps

import train_qa
from qa.run_folder.checkpoints import Checkpoints

PHASES = ("starting", "loading", "resuming", "steps", "saving", "evaluating", "exporting", "ending")
STARTING, LOADING, RESUMING, STEPS, SAVING, EVALUATING, EXPORTING, ENDING = range(len(PHASES))
_WIDTH = 1 + len(PHASES)  # bytes of a process: its phase, and how often it came into each


def note_phases(path):
    """Let this process note its phases: a fault's place, without a fault. One system call each."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    entered, rank = [0] * len(PHASES), int(os.environ.get("RANK", "0"))

    def enter(phase):
        entered[phase] = min(entered[phase] + 1, 255)
        os.pwrite(descriptor, bytes([phase, *entered]), rank * _WIDTH)

    def noted(owner, name, inside, after):
        function = getattr(owner, name)

        @wraps(function)
        def during(*given, **named):
            enter(inside)
            returned = function(*given, **named)
            enter(after)
            return returned

        setattr(owner, name, during)

    enter(STARTING)
    opened = train_qa.RunFolder.open.__func__

    def opens(cls, *given):
        folder = opened(cls, *given)
        enter(LOADING)
        return folder

    train_qa.RunFolder.open = classmethod(opens)
    noted(Checkpoints, "resume", RESUMING, STEPS)
    for name in ("save", "note_evaluation"):
        noted(Checkpoints, name, SAVING, STEPS)
    noted(train_qa.Evaluator, "evaluate", EVALUATING, STEPS)
    noted(train_qa.RunFolder, "keep", EXPORTING, STEPS)
    noted(train_qa.RunFolder, "publish", ENDING, ENDING)


def phase_of(path, rank=0):
    """Return the phase that a process is or was last in."""
    found = _read(path, rank)
    return found[0] if found else STARTING


def await_phase(path, phase, times, is_running, *, rank=0):
    """Wait until a process has come into a phase so many times, or has ended; return False if it has ended."""
    while is_running():
        found = _read(path, rank)
        if found and found[1 + phase] >= times:
            return True
        time.sleep(0.001)
    return False


def _read(path, rank):
    try:
        return path.read_bytes()[rank * _WIDTH : (rank + 1) * _WIDTH]
    except FileNotFoundError:
        return b""
