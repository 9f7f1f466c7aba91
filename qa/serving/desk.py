"""Takes the requests of one event loop, answers each in a thread, and drops those whose clients have gone.

Tokens of a text of half a megabyte are a hundred megabytes for a moment, in small blocks. glibc has a heap for each
thread and keeps what is freed in it, so that the memory of a service would grow for hours, up to the largest text in
every thread. Therefore a large request ends with returning it.
"""

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Generic, Protocol, TypeVar, runtime_checkable

from qa.errors import ForkError, QueueFullError
from qa.runtime.cores import trim_freed_memory
from qa.serving.turns import TICKET, Ticket, Turns

_SMALL = 20_000  # characters; above, a request is one of the large ones
_SMALL_THREADS, _LARGE_THREADS = 32, 8
"""Requests of either kind that are tokenised and hold their windows at the same time; bounds memory. Small ones have
threads of their own, so that large ones, however many, do not stand in their way."""


@runtime_checkable
class Sized(Protocol):
    """Work of which the size is known before it is done."""

    @property
    def size(self) -> int:
        """Inputs: pairs of a question and a text."""

    @property
    def characters(self) -> int:
        """Of all its texts."""


Task = TypeVar("Task", bound=Sized)
Result = TypeVar("Result")


class Desk(Generic[Task, Result]):
    """A bounded number of requests in front of a function that answers one of them by the model of `turns`."""

    def __init__(self, answer: Callable[[Task], Result], turns: Turns, *, most_waiting: int) -> None:
        """Take the function; `most_waiting` counts inputs that threads are not done with yet."""
        self._answer, self._turns, self._most_waiting = answer, turns, most_waiting
        self._waiting, self._counting = 0, threading.Lock()
        self._closing = False
        self._process = os.getpid()
        self._small = ThreadPoolExecutor(_SMALL_THREADS, "small")
        self._large = ThreadPoolExecutor(_LARGE_THREADS, "large")
        self._reader = threading.Thread(target=turns.work, name="reader", daemon=True)

    @property
    def waiting(self) -> int:
        """Inputs that threads are not done with yet."""
        return self._waiting

    @property
    def is_open(self) -> bool:
        """Whether one more input would be taken."""
        return not self._closing and self._waiting < self._most_waiting

    @property
    def works(self) -> bool:
        """Whether the thread that runs the model lives."""
        return self._reader.is_alive()

    def open(self) -> None:
        """Start.

        Raises:
            ForkError: the model was loaded by another process.

        """
        self._require_own_process()
        self._reader.start()

    def close(self) -> None:
        """Take no more; wait for the requests that are being answered."""
        self._closing = True
        for pool in (self._small, self._large):
            pool.shutdown()
        self._turns.close()
        self._reader.join()

    async def submit(self, task: Task) -> Result:
        """Wait for a task's result; whoever cancels this ends the task too.

        Raises:
            QueueFullError: at once, where it does not fit.
            ForkError: the model was loaded by another process.

        """
        self._require_own_process()
        if self._closing or self._waiting + task.size > self._most_waiting:
            raise QueueFullError
        ticket = Ticket(came=self._turns.clock())
        context = copy_context()
        context.run(TICKET.set, ticket)
        is_small = task.characters <= _SMALL
        pool, answer = (self._small, self._answer) if is_small else (self._large, self._answer_large)
        work = pool.submit(context.run, answer, task)
        self._count(task.size)
        work.add_done_callback(lambda _: self._count(-task.size))
        try:
            return await asyncio.wrap_future(work)
        except asyncio.CancelledError:
            self._turns.drop(ticket)
            raise

    def _count(self, inputs: int) -> None:
        """Count inputs until their thread is done with them, which may be after their client has gone."""
        with self._counting:
            self._waiting += inputs

    def _answer_large(self, task: Task) -> Result:
        try:
            return self._answer(task)
        finally:
            trim_freed_memory()

    def _require_own_process(self) -> None:
        if os.getpid() != self._process:
            raise ForkError(
                f"the model was loaded by process {self._process} and this is {os.getpid()}: threads do not survive a "
                "fork; wanted a model that each worker loads, as qa.serving:app_from_env has it"
            )
