"""The share of time without a core, as Linux tells it of every thread."""

import logging
from pathlib import Path

import pytest

from qa.runtime.core_wait import CoreWait


@pytest.fixture
def threads(tmp_path):
    """Write what the kernel says of some threads; those that are not named end."""

    def write(**told):
        for folder in tmp_path.iterdir():
            (folder / "schedstat").unlink()
            folder.rmdir()
        for name, line in told.items():
            (tmp_path / name).mkdir()
            (tmp_path / name / "schedstat").write_text(line, encoding="ascii")
        return tmp_path

    return write


def test_waiting_is_a_share_of_what_all_threads_could_have_run(threads):
    wait = CoreWait(threads(a="1000 500 7\n", b="0 0 0\n"))
    threads(a="1600 600 9\n", b="100 200 3\n")
    assert wait.take() == 300 / 1000
    threads(a="1700 600 9\n", b="100 200 3\n")
    assert wait.take() == 0.0


def test_threads_that_began_count_from_their_beginning_and_those_that_ended_not_at_all(threads):
    wait = CoreWait(threads(a="1000 0 1\n", gone="9000 9000 1\n"))
    threads(a="1100 0 1\n", new="0 300 1\n")
    assert wait.take() == 0.75


@pytest.mark.parametrize("line", ["", "1 2\n", "0 0 0\n"])
def test_nothing_is_told_where_the_system_tells_nothing(threads, line):
    wait = CoreWait(threads(a=line))
    assert wait.take() is None


def test_nothing_is_told_where_no_thread_ran_since(threads):
    wait = CoreWait(threads(a="5 5 5\n"))
    assert wait.take() is None


def test_a_system_without_such_files_tells_nothing(tmp_path):
    assert CoreWait(tmp_path / "absent").take() is None


@pytest.mark.parametrize(("computes", "told"), [(True, 1), (False, 0)])
def test_what_helps_is_said_once_where_the_model_runs_on_the_cores(computes, told, threads, caplog):
    wait = CoreWait(threads(a="0 0 0\n"), computes=computes)
    with caplog.at_level(logging.INFO, logger="qa"):
        for ran, waited, share in ((90, 10, 0.1), (140, 60, 0.5), (240, 60, 0.0), (250, 90, 0.75)):
            threads(a=f"{ran} {waited} 1\n")
            assert wait.values() == {"core_wait_share": share}
    assert caplog.text.count("OMP_WAIT_POLICY=passive") == told


def test_this_process_has_a_share():
    wait = CoreWait()
    for _ in range(100):  # the kernel counts by ticks of some milliseconds
        sum(range(100_000))
    share = wait.take()
    if not Path("/proc/self/schedstat").exists():
        assert share is None
    else:
        assert 0 <= share < 1
