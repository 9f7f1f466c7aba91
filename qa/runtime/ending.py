"""How a process ends: its message, its exit status, and what the other processes are told."""

import contextlib
import os
import socket
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

import torch
from torch.distributed import DistError

from qa.errors import QAError, StoppedError
from qa.runtime.logs import for_file
from qa.runtime.memory import is_out_of_memory
from qa.runtime.peers import exit_at_once, peers

_ALIVE: list[torch.distributed.ProcessGroup] = []
"""Process groups, which must outlive all that use them; see `end_process`."""
_OF_EXCHANGES = ("onnection", "Timed out waiting")
"""What Gloo says where another process has ended, and where nothing comes."""


def exit_status(function: Callable[[], object]) -> int:
    """Run `function`; return the exit status, having said and told the other processes what went wrong.

    An error that a user or the machine can cause is one message, anything else a traceback. What all processes raise
    alike is said once on each machine.
    """
    try:
        function()
    except StoppedError as stopped:
        return _ended(stopped.status, str(stopped))
    except QAError as error:
        return _ended(1, f"error: {error}")
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # whatever it is, the other processes must learn
        return _ended(*_unexpected(error))
    if (others := peers()) is not None:
        others.leave(failed=False)
    return 0


def _ended(status: int, text: str) -> int:
    others = peers()
    if others is None:
        _say(text)
        return status
    first = others.announce(status, text)
    is_own = (first.process, first.text) == (others.process, text)
    is_news = first.text != text
    has_no_speaker = first.host != socket.gethostname() and os.environ.get("LOCAL_RANK", "0") == "0"
    if is_own or is_news or has_no_speaker:
        _say(text)
    others.leave(failed=True)
    return status


def _say(text: str) -> None:
    for_file.error("%s", text)
    with contextlib.suppress(OSError):  # of a terminal that has been closed
        print(text, file=sys.stderr)  # noqa: T201


def _unexpected(error: BaseException) -> tuple[int, str]:
    """Return status and text for an error without a class of ours."""
    if isinstance(error, KeyboardInterrupt):
        return 130, "interrupted"
    if is_out_of_memory(error):
        return 1, f"error: out of memory: {error}"
    is_of_exchange = isinstance(error, RuntimeError) and any(words in str(error) for words in _OF_EXCHANGES)
    if is_of_exchange or isinstance(error, DistError):
        return 1, f"error: another process has ended or cannot be reached: {error}"
    return 1, "".join(traceback.format_exception(error)).rstrip()


def keep_alive(group: torch.distributed.ProcessGroup) -> None:
    """Keep a process group to the end of the process, which `end_process` then ends without destructors."""
    _ALIVE.append(group)


def end_process(status: int) -> NoReturn:
    """End the process with an exit status; one of several processes, or one that failed, without calling destructors.

    Gloo's joins a thread while it holds Python's global lock, which that thread may wait for to free a tensor of the
    last collective: runs of two processes on the CPU now and then hung so at their end. And one that was stopped must
    not wait for an upload's threads.
    """
    if _ALIVE or status:
        exit_at_once(status)
    sys.exit(status)
