"""What benchmarks run on: neighbours that keep cores busy, and end with the contest."""

import pytest

from tests.benchmarks.contest import neighbours


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
