"""Turns of the model: who goes first, who is dropped, what is joined."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial

import pytest
import torch

from qa.errors import GoneError, QueueFullError
from qa.inference.onnx import SpanLogits
from qa.inference.torch_reader import run_together
from qa.serving.turns import TICKET, Ticket, Turns
from tests.support.service import wait_until


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Model(torch.nn.Module):
    """Waits at a gate, takes a second a row by the clock, and notes whose rows it saw: the first token says it."""

    def __init__(self, clock):
        super().__init__()
        self.clock, self.seen = clock, []
        self.gate = threading.Semaphore(0)

    def forward(self, input_ids, attention_mask):
        assert self.gate.acquire(timeout=20)
        assert attention_mask.shape == input_ids.shape
        assert not torch.is_grad_enabled()
        self.clock.now += len(input_ids)
        self.seen.append(input_ids[:, 0].tolist())
        if input_ids[0, 0] == 13:
            raise ValueError("thirteen")
        return SpanLogits(input_ids * 2.0, input_ids * 3.0)


class Bench:
    """Turns whose every step a test decides."""

    def __init__(self, **options):
        self.clock = Clock()
        self.model = Model(self.clock)
        self.watched = []
        watch = lambda *one: self.watched.append(one)  # noqa: E731
        self.turns = Turns(partial(run_together, self.model), clock=self.clock, watch=watch, **options)
        self.pool = ThreadPoolExecutor(8)
        self.reader = threading.Thread(target=self.turns.work)
        self.reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.model.gate.release(1000)
        self.turns.close()
        self.reader.join(20)
        self.pool.shutdown()

    def ask(self, ticket, *passes):
        """Let a request ask for passes, one after the other; each is the first token and the shape."""
        context = copy_context()
        context.run(TICKET.set, ticket)

        def run():
            outputs = []
            for token, rows, width in passes:
                ids = torch.full((rows, width), token)
                outputs.append(self.turns(input_ids=ids, attention_mask=torch.ones_like(ids)))
            return outputs

        return self.pool.submit(context.run, run)

    def block(self):
        """Let a pass begin that ends with the gate's next opening; what is asked meanwhile waits."""
        job = self.ask(Ticket(came=0.0), (1, 1, 8))
        wait_until(lambda: self.turns.busy and not self.turns.waiting)
        return job

    def wait(self, ticket, *passes):
        """Ask, and wait until the first pass waits."""
        before = self.turns.waiting
        job = self.ask(ticket, *passes)
        wait_until(lambda: self.turns.waiting == before + 1)
        return job


def test_whoever_has_had_least_goes_first():
    with Bench() as bench:
        bench.block()
        large, small = Ticket(came=0.0, used=4.0), Ticket(came=0.0)
        jobs = [bench.wait(large, (2, 4, 8)), bench.wait(small, (3, 1, 8))]
        bench.model.gate.release(3)
        first, second = (job.result(20)[0] for job in jobs)
        assert bench.model.seen == [[1], [3], [2] * 4]
        assert first.start_logits.tolist() == [[4.0] * 8] * 4
        assert second.end_logits.tolist() == [[9.0] * 8]
    assert (large.used, small.used) == (8.0, 1.0)
    assert bench.watched == [(1, 1.0), (1, 1.0), (4, 4.0)]


@pytest.mark.parametrize(("now", "order"), [(1000.0, [3, 2]), (3000.0, [2, 3])])
def test_new_requests_cannot_starve_an_old_one(now, order):
    """One that has had 100 seconds is due a tenth of the time since it came, shared with the other that waits."""
    with Bench() as bench:
        bench.block()
        bench.clock.now = now
        jobs = [bench.wait(Ticket(came=0.0, used=100.0), (2, 1, 8)), bench.wait(Ticket(came=now), (3, 1, 8))]
        bench.model.gate.release(3)
        assert [len(job.result(20)) for job in jobs] == [1, 1]
    assert bench.model.seen == [[1], *([token] for token in order)]


def test_a_request_whose_client_has_gone_has_no_more_turns_and_waits_for_nobody():
    with Bench() as bench:
        running = bench.block()
        gone = Ticket(came=0.0)
        dropped = bench.wait(gone, (2, 1, 8), (2, 1, 8))
        bench.turns.drop(gone)
        with pytest.raises(GoneError):
            dropped.result(20)
        with pytest.raises(GoneError):
            bench.ask(gone, (2, 1, 8)).result(20)
        bench.model.gate.release()
        running.result(20)
    assert bench.model.seen == [[1]]


def test_an_error_of_the_model_reaches_who_asked_and_ends_nothing():
    with Bench() as bench:
        bench.model.gate.release(2)
        with pytest.raises(ValueError, match="thirteen"):
            bench.ask(Ticket(came=0.0), (13, 1, 8)).result(20)
        assert bench.ask(Ticket(came=0.0), (2, 1, 8)).result(20)[0].end_logits.tolist() == [[6.0] * 8]


@pytest.mark.parametrize(("together", "passes"), [(0, [[1], [2], [3, 3], [4]]), (3, [[1], [2, 3, 3], [4]])])
def test_passes_of_one_width_are_joined_where_that_is_wanted(together, passes):
    with Bench(together=together) as bench:
        jobs = [bench.block()]
        asked = [(2, 1, 8), (3, 2, 8), (4, 1, 16)]
        jobs += [bench.wait(Ticket(came=0.0, used=float(at)), one) for at, one in enumerate(asked)]
        bench.model.gate.release(4)
        found = [job.result(20)[0].start_logits.tolist() for job in jobs]
    assert bench.model.seen == passes
    assert found == [[[2.0] * 8], [[4.0] * 8], [[6.0] * 8] * 2, [[8.0] * 16]]


def test_what_waits_when_it_ends_is_refused():
    with Bench() as bench:
        running = bench.block()
        waiting = bench.wait(Ticket(came=0.0), (2, 1, 8))
        bench.turns.close()
        with pytest.raises(QueueFullError):
            waiting.result(20)
        bench.model.gate.release()
        running.result(20)
        with pytest.raises(QueueFullError):
            bench.ask(Ticket(came=0.0), (3, 1, 8)).result(20)
