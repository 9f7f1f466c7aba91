"""How a process ends: one message, the status that convention wants, and what the other processes hear."""

import errno
import io
import socket
import sys

import pytest
import torch
from torch.distributed import DistError

from qa.errors import CheckpointError, ConfigError, StoppedError
from qa.runtime import ending
from qa.runtime.ending import end_process, exit_status, keep_alive
from qa.runtime.peers import Ending


def raises(error):
    def function():
        raise error

    return function


class Others:
    """The processes of a run, of which one has told first why it ends."""

    def __init__(self, process, first=None):
        self.process, self.first, self.left = process, first, []

    def announce(self, status, text):
        own = Ending(process=self.process, host=socket.gethostname(), status=status, text=text)
        return self.first or own

    def leave(self, *, failed):
        self.left.append(failed)


@pytest.fixture
def others(monkeypatch):
    """A function that gives this process others."""

    def set_others(found):
        monkeypatch.setattr(ending, "peers", lambda: found)
        return found

    set_others(None)
    return set_others


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (ConfigError("seed is x"), 1, "error: seed is x\n"),
        (StoppedError("stopped by SIGTERM", 143), 143, "stopped by SIGTERM\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (torch.OutOfMemoryError("no GiB left"), 1, "error: out of memory: no GiB left\n"),
        (DistError("socket closed"), 1, "error: another process has ended or cannot be reached: socket closed\n"),
        (
            RuntimeError("Connection closed by peer"),
            1,
            "error: another process has ended or cannot be reached: Connection closed by peer\n",
        ),
    ],
)
@pytest.mark.usefixtures("others")
def test_what_is_known_is_one_message_with_its_status(error, status, text, capsys):
    assert exit_status(raises(error)) == status
    assert capsys.readouterr().err == text


@pytest.mark.usefixtures("others")
def test_what_is_not_known_is_a_traceback(capsys):
    assert exit_status(raises(ZeroDivisionError("by us"))) == 1
    told = capsys.readouterr().err
    assert told.startswith("Traceback (most recent call last):\n")
    assert told.endswith("ZeroDivisionError: by us\n")


def test_a_terminal_that_has_been_closed_changes_neither_status_nor_what_others_hear(others, monkeypatch):
    class Closed(io.StringIO):
        def write(self, _):
            raise OSError(errno.EIO, "Input/output error")

    found = others(Others(0))
    monkeypatch.setattr(sys, "stderr", Closed())
    assert exit_status(raises(StoppedError("stopped by SIGHUP", 129))) == 129
    assert found.left == [True]


def test_a_good_end_says_nothing_and_leaves(others, capsys):
    found = others(Others(0))
    assert exit_status(list) == 0
    assert capsys.readouterr().err == ""
    assert found.left == [False]


@pytest.mark.parametrize(
    ("process", "first", "rank", "said"),
    [
        (1, None, "1", True),
        (1, Ending(process=0, host=socket.gethostname(), status=1, text="error: no such thing"), "1", False),
        (1, Ending(process=0, host="elsewhere", status=1, text="error: no such thing"), "0", True),
        (1, Ending(process=0, host="elsewhere", status=1, text="error: no such thing"), "1", False),
        (1, Ending(process=0, host=socket.gethostname(), status=1, text="error: another"), "1", True),
    ],
    ids=["its own", "said here", "said elsewhere", "said elsewhere and by a neighbour", "news"],
)
def test_what_all_processes_raise_is_said_once_on_each_machine(process, first, rank, said, others, capsys, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", rank)
    found = others(Others(process, first))
    assert exit_status(raises(CheckpointError("no such thing"))) == 1
    assert capsys.readouterr().err == ("error: no such thing\n" if said else "")
    assert found.left == [True]


def test_only_one_process_that_ended_well_ends_as_programs_do(monkeypatch):
    at_once = []
    monkeypatch.setattr(ending, "exit_at_once", at_once.append)
    with pytest.raises(SystemExit) as ended:
        end_process(0)
    assert (ended.value.code, at_once) == (0, [])
    with pytest.raises(SystemExit):
        end_process(3)
    assert at_once == [3]
    monkeypatch.setattr(ending, "_ALIVE", [])
    keep_alive(torch.distributed.ProcessGroup(0, 1))
    with pytest.raises(SystemExit):
        end_process(0)
    assert at_once == [3, 0]
