"""What benchmarks run on: neighbours that keep cores busy, and end with the contest; stages that fail alone."""

import json
import sys
from functools import partial

import pytest

from tests.benchmarks import __main__ as bench
from tests.benchmarks.contest import Result, Stage, neighbours


@pytest.mark.processes
def test_neighbours_run_until_the_contest_ends():
    with neighbours(2) as running:
        assert [process.poll() for process in running] == [None, None]
    assert [process.poll() is None for process in running] == [False, False]


@pytest.mark.processes
def test_neighbours_end_with_a_contest_that_fails():
    with pytest.raises(RuntimeError, match="ended with code 1"), neighbours(1) as running:
        fail()
    assert running[0].poll() is not None


def fail():
    raise RuntimeError("ours ended with code 1")


def test_there_are_no_neighbours_unless_asked_for():
    with neighbours(0) as running:
        assert running == []


stage = partial(Stage, opponent="theirs", unit="rows/s", bar=1.0, ours=iter, theirs=iter)
STAGES = (stage(name="one"), stage(name="two"), stage(name="three", needs_model=True))


def competed(one, _):
    if one.name == "one":
        raise RuntimeError("one ours ended with code 1")
    return Result(stage=one.name, opponent="theirs", ours=2.0, theirs=1.0, unit="rows/s", ratio=2.0, bar=1.0)


@pytest.mark.parametrize(("only", "code"), [(["one", "two", "three"], 1), (["two"], 0)])
def test_a_stage_that_fails_leaves_the_rows_of_the_others(only, code, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench, "STAGES", STAGES)
    monkeypatch.setattr(bench, "compete", competed)
    monkeypatch.setattr(sys, "argv", ["bench", "--output", str(tmp_path), "--only", *only])
    assert bench.main() == code
    assert [row["stage"] for row in json.loads((tmp_path / "bench.json").read_text())] == ["two"]
    said = capsys.readouterr().out
    assert ("failed: one: one ours ended with code 1" in said) == ("one" in only)
    assert ("left out, for want of --model: three" in said) == ("three" in only)
