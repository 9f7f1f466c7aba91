"""Requests of many clients → few calls of the model: what waits while the model works is run together next.

One thread runs the model, so that requests neither compete for its cores nor block the event loop.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, runtime_checkable

from qa.errors import QueueFullError


@runtime_checkable
class Sized(Protocol):
    """Work of which the size is known before it is done."""

    @property
    def size(self) -> int:
        """Inputs: pairs of a question and a text."""


Task = TypeVar("Task", bound=Sized)
Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class _Job(Generic[Task]):
    task: Task
    answer: "asyncio.Future[object]"


class Batcher(Generic[Task, Result]):
    """A bounded queue in front of a function of many tasks; lives in one event loop.

    A task whose caller has given up is not run.
    """

    def __init__(
        self, run: Callable[[Sequence[Task]], Sequence[Result | Exception]], *, most_waiting: int, most_together: int
    ) -> None:
        """Take a function from tasks to their results or errors, in order; sizes are in inputs."""
        self._run = run
        self._most_waiting, self._most_together = most_waiting, most_together
        self._jobs: deque[_Job[Task]] = deque()
        self._waiting = 0
        self._wake = asyncio.Event()
        self._closing = False
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="reader")

    @property
    def waiting(self) -> int:
        """Inputs that wait, those that run not counted."""
        return self._waiting

    async def submit(self, task: Task) -> Result:
        """Wait for the result of a task.

        Raises:
            QueueFullError: at once, where it does not fit into the queue.

        """
        if self._closing or self._waiting + task.size > self._most_waiting:
            raise QueueFullError
        job = _Job(task, asyncio.get_running_loop().create_future())
        self._jobs.append(job)
        self._waiting += task.size
        self._wake.set()
        return await job.answer  # type: ignore[return-value]  # what `run` gave for this task

    async def work(self) -> None:
        """Run tasks until `close`, and then what still waits."""
        while self._jobs or not self._closing:
            if self._jobs:
                if jobs := self._next():
                    await self._answer(jobs)
            else:
                self._wake.clear()
                await self._wake.wait()
        self._thread.shutdown()

    def close(self) -> None:
        """Take no more tasks; `work` returns when those that wait are done."""
        self._closing = True
        self._wake.set()

    def _next(self) -> list[_Job[Task]]:
        """Take jobs in order up to a batch; at least one."""
        taken: list[_Job[Task]] = []
        size = 0
        while self._jobs and (not taken or size + self._jobs[0].task.size <= self._most_together):
            job = self._jobs.popleft()
            self._waiting -= job.task.size
            if not job.answer.done():  # cancelled: nobody waits for it
                taken.append(job)
                size += job.task.size
        return taken

    async def _answer(self, jobs: list[_Job[Task]]) -> None:
        tasks = [job.task for job in jobs]
        loop = asyncio.get_running_loop()
        try:
            results = await loop.run_in_executor(self._thread, self._run, tasks)
        except Exception as error:  # noqa: BLE001  # a bug of ours: it must reach whoever asked, and not end the work
            results = [error] * len(jobs)
        for job, result in zip(jobs, results, strict=True):
            with contextlib.suppress(asyncio.InvalidStateError):  # its caller has given up meanwhile
                if isinstance(result, Exception):
                    job.answer.set_exception(result)
                else:
                    job.answer.set_result(result)
