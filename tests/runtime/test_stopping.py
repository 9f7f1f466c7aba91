"""Signals where systems have few of them, and when they end a run at once or not."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from accelerate import Accelerator

from qa.errors import StoppedError
from qa.runtime.stopping import StopRequest, interruptible


def test_a_system_without_some_signals_goes_without(monkeypatch):
    """Windows has none of these."""
    for name in ("SIGHUP", "SIGUSR1", "SIGUSR2"):
        monkeypatch.delattr(signal, name, raising=False)
    before = signal.getsignal(signal.SIGTERM)
    with StopRequest(), pytest.raises(StoppedError, match="stopped by SIGTERM") as error:
        os.kill(os.getpid(), signal.SIGTERM)
    assert error.value.status == 143
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.usefixtures("fresh_accelerator")
def test_a_signal_in_training_waits_for_the_check():
    with StopRequest() as stop, stop.waiting(Accelerator(cpu=True)):
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(StoppedError, match="stopped by SIGTERM"):
            stop.check()


@pytest.mark.usefixtures("fresh_accelerator")
def test_a_signal_ends_what_one_process_does_alone_at_once():
    """Scoring, decoding, pushing: they can be done again."""
    with StopRequest() as stop, stop.waiting(Accelerator(cpu=True)):
        with pytest.raises(StoppedError), interruptible():
            os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(StoppedError), interruptible():  # also one that had come before
            pass


@pytest.mark.usefixtures("fresh_accelerator")
@pytest.mark.parametrize("name", ["SIGHUP", "SIGUSR1", "SIGUSR2"])
def test_what_terminals_and_batch_systems_send_saves_and_ends_a_run(name, handled):
    number = handled(name, signal.SIG_DFL)
    with StopRequest() as stop, stop.waiting(Accelerator(cpu=True)):
        os.kill(os.getpid(), number)
        with pytest.raises(StoppedError, match=f"stopped by {name}") as error:
            stop.check()
    assert error.value.status == 128 + number
    assert signal.getsignal(number) == signal.SIG_DFL


def test_under_nohup_a_terminal_that_closes_ends_nothing(handled):
    number = handled("SIGHUP", signal.SIG_IGN)
    with StopRequest():
        os.kill(os.getpid(), number)
        assert signal.getsignal(number) == signal.SIG_IGN
    assert signal.getsignal(number) == signal.SIG_IGN


@pytest.fixture
def handled():
    """Set how a signal is handled, for one test; return its number."""
    before = {}

    def handle(name, handler):
        if not hasattr(signal, name):
            pytest.skip(f"this system has no {name}")
        number = getattr(signal, name)
        before[number] = signal.signal(number, handler)
        return number

    yield handle
    for number, handler in before.items():
        signal.signal(number, handler)


def test_outside_of_a_run_nothing_is_interrupted():
    with interruptible():
        pass


@pytest.mark.usefixtures("fresh_accelerator")
def test_a_run_in_a_thread_goes_without_signals_and_has_its_time():
    """As engines that call a function of training run it, and apps: Python takes handlers in the main thread alone."""

    def work():
        before = signal.getsignal(signal.SIGTERM)
        with StopRequest(max_minutes=0.0) as stop, stop.waiting(Accelerator(cpu=True)):
            assert signal.getsignal(signal.SIGTERM) is before
            with pytest.raises(StoppedError, match="max-minutes are over"):
                stop.check()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(work).result()
