"""Jobs in processes of their own: their status and output, how many at once, and how all are stopped."""

import os
import signal
import sys

import pytest

from qa.errors import SweepError
from qa.experiments.running import STOPPED, Job, Runner


def job(tmp_path, name, code, **changes):
    words = changes.pop("words", (sys.executable, "-S", "-c", code))
    return Job(name=name, words=words, log=tmp_path / f"{name}.log", group="sweep: a", **changes)


def ended(runner, *jobs, began=None):
    return {one.job.name: one for one in runner.run(jobs, began or (lambda _: None))}


@pytest.mark.processes
def test_status_output_and_environment_are_the_jobs_own(tmp_path, monkeypatch):
    monkeypatch.delenv("WANDB_RUN_GROUP", raising=False)
    seen = []
    good = job(tmp_path, "good", "import os, sys; print(os.environ['WANDB_RUN_GROUP']); print('x', file=sys.stderr)")
    bad = job(tmp_path, "bad", "raise SystemExit(7)")
    (tmp_path / "good.log").write_text("an earlier attempt\n")
    found = ended(Runner(1), good, bad, began=lambda one: seen.append(one.name))
    assert {name: one.status for name, one in found.items()} == {"good": 0, "bad": 7}
    assert sorted((tmp_path / "good.log").read_text().splitlines()) == ["an earlier attempt", "sweep: a", "x"]
    assert sorted(seen) == ["bad", "good"]


@pytest.mark.processes
def test_a_group_that_was_asked_for_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_RUN_GROUP", "mine")
    ended(Runner(1), job(tmp_path, "one", "import os; print(os.environ['WANDB_RUN_GROUP'])"))
    assert (tmp_path / "one.log").read_text() == "mine\n"


@pytest.mark.processes
def test_as_many_run_at_once_as_asked(tmp_path):
    """Each of two waits for the other's file: one after the other would wait for ever."""
    code = "import os, sys; open(sys.argv[1], 'w').close()\nwhile not os.path.exists(sys.argv[2]): pass"
    files = str(tmp_path / "a"), str(tmp_path / "b")
    start = (sys.executable, "-S", "-c", code)
    jobs = [job(tmp_path, "x", "", words=(*start, *files)), job(tmp_path, "y", "", words=(*start, *reversed(files)))]
    assert {one.status for one in ended(Runner(2), *jobs).values()} == {0}


def test_a_command_that_cannot_be_started_is_named(tmp_path):
    with pytest.raises(SweepError, match=r"cannot start '/no/such/program': No such file"):
        ended(Runner(1), job(tmp_path, "one", "", words=("/no/such/program",)))


@pytest.mark.processes
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.usefixtures("heard")
def test_a_signal_reaches_what_runs_and_nothing_more_is_started(number, tmp_path):
    waits = job(tmp_path, "waits", "import signal; print('here', flush=True); signal.pause()")
    started = []
    with Runner(1) as runner:
        jobs = [waits, job(tmp_path, "later", "pass")]
        for one in runner.run(jobs, lambda found: (started.append(found.name), os.kill(os.getpid(), number))):
            assert one.status is STOPPED
        assert runner.stopped_by == number
    assert started == ["waits"]


@pytest.fixture
def heard():
    """Let SIGHUP do what it does, also where the tests run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("heard")
def test_under_nohup_a_terminal_that_closes_ends_nothing():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with Runner(1) as runner:
        os.kill(os.getpid(), signal.SIGHUP)
        assert not runner.stopped_by


def test_the_handlers_of_before_are_put_back():
    before = signal.getsignal(signal.SIGTERM)
    with Runner(1):
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
