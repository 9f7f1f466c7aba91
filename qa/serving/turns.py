"""Forward passes of many requests -> one at a time, in turns: the request that has had least of the model goes first.

Every request is answered by the predictor itself, in a thread of its own; only the forward passes of its windows come
here. So its answers are the predictor's to the last bit whatever else is asked, and a text of half a megabyte holds the
model for a pass of few windows and not for all of them.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from qa.errors import GoneError, QueueFullError

_SHARE = 0.1
"""Of the model's time, for requests that have had most: a stream of small ones cannot starve them."""


@dataclass(eq=False)
class Ticket:
    """A request's standing."""

    came: float
    """When, by the clock of `Turns`."""
    used: float = 0.0
    """Seconds of the model that it has had."""
    gone: bool = False
    """Nobody waits for its answer any more."""


TICKET: ContextVar[Ticket] = ContextVar("ticket")
"""The request that this thread answers."""


def require_waiting() -> None:
    """Check that somebody waits for what this thread does: for work between forward passes.

    Raises:
        GoneError: nobody does any more.

    """
    if TICKET.get().gone:
        raise GoneError


@dataclass(frozen=True, eq=False)
class _Pass:
    """A forward pass that waits."""

    ticket: Ticket
    inputs: dict[str, Any]
    output: Future[Any] = field(default_factory=Future)

    @property
    def shape(self) -> tuple[int, int]:
        rows, width = self.inputs["input_ids"].shape
        return rows, width


class Turns:
    """A model that many threads call and one thread runs."""

    def __init__(
        self,
        run: Callable[[Sequence[Mapping[str, Any]]], list[Any]],
        *,
        together: int = 0,
        watch: Callable[[int, float], None] = lambda *_: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Wrap what runs a model.

        Args:
            run: runs the inputs of several calls, `input_ids` and others, `[feature, token]`; see `LoadedReader.run`.
            together: windows of several requests that one pass may hold. Of use on an accelerator, where a pass of few
                costs what one of many does. On a CPU it gains nothing, and the answers would depend on who else asks:
                rounding differs with the shape, and 8-bit activations share one scale.
            watch: is told windows and seconds of every pass.
            clock: in seconds.

        """
        self._run_model, self._together, self._watch, self.clock = run, together, watch, clock
        self._waiting: list[_Pass] = []
        self._changed = threading.Condition()
        self._began: float | None = None
        self._closed = False

    @property
    def waiting(self) -> int:
        """Passes that wait."""
        return len(self._waiting)

    @property
    def busy(self) -> bool:
        """Whether a pass runs."""
        return self._began is not None

    @property
    def seconds_in_pass(self) -> float:
        """How long the pass that runs has taken; 0 where none runs."""
        began = self._began
        return 0.0 if began is None else self.clock() - began

    def __call__(self, **inputs: Any) -> Any:  # noqa: ANN401  # the output of whatever model it is
        """Wait for a turn, and return what the model does.

        Raises:
            GoneError: nobody waits for this request any more.
            QueueFullError: the service has ended.

        """
        one = _Pass(TICKET.get(), inputs)
        with self._changed:
            if self._closed:
                raise QueueFullError
            require_waiting()
            self._waiting.append(one)
            self._changed.notify()
        return one.output.result()

    def drop(self, ticket: Ticket) -> None:
        """End a request: its pass that waits, at once, and those that it would still ask for, raise `GoneError`."""
        with self._changed:
            ticket.gone = True
            for one in self._waiting:
                if one.ticket is ticket:
                    one.output.set_exception(GoneError())
            self._waiting = [one for one in self._waiting if one.ticket is not ticket]

    def work(self) -> None:
        """Run passes until `close`."""
        while passes := self._next():
            self._run(passes)

    def close(self) -> None:
        """End `work`; what still waits is refused."""
        with self._changed:
            self._closed = True
            for one in self._waiting:
                one.output.set_exception(QueueFullError())
            self._waiting.clear()
            self._changed.notify()

    def _next(self) -> list[_Pass]:
        with self._changed:
            while not self._closed:
                if self._waiting:
                    return self._taken()
                self._changed.wait()
            return []

    def _taken(self) -> list[_Pass]:
        """Take the pass whose turn it is, and those of the same width that fit beside it."""
        now = self.clock()
        order = sorted(self._waiting, key=lambda one: _claim(one.ticket, now, len(self._waiting)))
        taken, rows = order[:1], order[0].shape[0]
        for one in order[1:]:
            if one.shape[1] == order[0].shape[1] and rows + one.shape[0] <= self._together:
                taken.append(one)
                rows += one.shape[0]
        self._waiting = [one for one in self._waiting if one not in taken]
        self._began = now
        return taken

    def _run(self, passes: Sequence[_Pass]) -> None:
        began = self.clock()
        try:
            outputs = self._run_model([one.inputs for one in passes])
        except Exception as error:  # noqa: BLE001  # whatever the model raises belongs to those who asked
            for one in passes:
                one.output.set_exception(error)
        else:
            for one, output in zip(passes, outputs, strict=True):
                one.output.set_result(output)
        seconds, self._began = self.clock() - began, None
        for one in passes:
            one.ticket.used += seconds / len(passes)
        self._watch(sum(one.shape[0] for one in passes), seconds)


def _claim(ticket: Ticket, now: float, waiting: int) -> float:
    """Return what decides whose turn it is, the smallest first: seconds used, less the share that is due by now."""
    return ticket.used - _SHARE * (now - ticket.came) / waiting
