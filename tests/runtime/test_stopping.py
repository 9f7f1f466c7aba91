"""Signals where systems have few of them, and when they end a run at once or not."""

import os
import signal

import pytest
from accelerate import Accelerator

from qa.errors import StoppedError
from qa.runtime.stopping import StopRequest, interruptible


def test_a_system_without_some_signals_goes_without(monkeypatch):
    """Windows has neither SIGUSR1 nor many others."""
    monkeypatch.delattr(signal, "SIGUSR1")
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


def test_outside_of_a_run_nothing_is_interrupted():
    with interruptible():
        pass
