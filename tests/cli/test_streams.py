"""Standard streams that are closed or full: an error of ours, and the status that was promised."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import qa

IS_FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no disk that is always full")
SAID = "error: cannot write standard output: No space left on device\n"


def run(words, how, **environment):
    command = f'"{sys.executable}" -m qa {words} {how}'
    own = {"PYTHONPATH": str(Path(qa.__file__).parents[1]), "PYTHONUNBUFFERED": ""} | environment
    return subprocess.run(["bash", "-c", command], check=False, capture_output=True, text=True, env=os.environ | own)


@IS_FULL
@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "unbuffered"), [("--version", ""), ("--version", "1"), ("ask --help", ""), ("ask --help", "1")]
)
def test_a_full_output_is_an_error_with_status_1(words, unbuffered):
    done = run(words, ">/dev/full", PYTHONUNBUFFERED=unbuffered)
    assert (done.returncode, done.stderr) == (1, SAID)


@pytest.mark.slow
def test_streams_that_were_closed_are_empty_or_take_everything():
    assert run("--version", ">&-").returncode == 0
    done = run("ask /none --question a", "<&-")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
