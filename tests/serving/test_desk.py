"""The desk: bounds, clients that go, errors, the end, forks."""

import asyncio
import multiprocessing
import threading
from dataclasses import dataclass
from functools import partial

import pytest
import torch

from qa.errors import ForkError, GoneError, QueueFullError
from qa.inference.onnx import SpanLogits
from qa.inference.torch_reader import run_together
from qa.serving.desk import Desk
from qa.serving.turns import Turns
from tests.support.heaps import FREED, fill_holes, make_holes, on_glibc, returned
from tests.support.service import wait_until


@dataclass(frozen=True)
class Work:
    name: str
    size: int = 1
    characters: int = 10
    passes: int = 1
    holes: bool = False


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.open = threading.Event()
        self.open.set()
        self.passes = 0

    def forward(self, input_ids):
        self.passes += 1
        assert self.open.wait(20)
        return SpanLogits(input_ids, input_ids)


def run(scenario, most_waiting=10):
    """Run a scenario with a desk that is open; returns what it does, and what came of each task."""
    model, ended, kept = Model(), {}, []
    turns = Turns(partial(run_together, model))

    def answer(task):
        try:
            for _ in range(task.passes):
                turns(input_ids=torch.zeros(1, 8))
            if task.holes:
                kept.extend(make_holes())
            if task.name == "bad":
                int(task.name)
        except Exception as error:
            ended[task.name] = type(error)
            raise
        ended[task.name] = None
        return task.name.upper()

    async def main():
        desk = Desk(answer, turns, most_waiting=most_waiting)
        desk.open()
        try:
            return await scenario(desk, model)
        finally:
            model.open.set()
            await asyncio.to_thread(desk.close)
            fill_holes(kept)

    return asyncio.run(main()), ended


def test_results_and_errors_go_to_whom_they_belong():
    async def scenario(desk, _):
        asked = [Work("a"), Work("bad"), Work("large", characters=1_000_000, passes=3)]
        return await asyncio.gather(*map(desk.submit, asked), return_exceptions=True)

    results, _ = run(scenario)
    assert results[0] == "A"
    assert isinstance(results[1], ValueError)
    assert results[2] == "LARGE"


def test_more_than_it_takes_is_refused_at_once():
    async def scenario(desk, model):
        model.open.clear()
        waiting = [asyncio.ensure_future(desk.submit(Work(name, size=2))) for name in ("a", "b")]
        await asyncio.sleep(0)
        assert desk.waiting == 4
        assert desk.is_open
        with pytest.raises(QueueFullError):
            await desk.submit(Work("c", size=2))
        last = asyncio.ensure_future(desk.submit(Work("d")))
        await asyncio.sleep(0)
        assert not desk.is_open
        model.open.set()
        await asyncio.gather(*waiting, last)
        assert desk.waiting == 0
        assert desk.is_open

    run(scenario, most_waiting=5)


@pytest.mark.parametrize("characters", [10, 1_000_000])
def test_work_of_clients_that_have_gone_is_not_done(characters):
    async def scenario(desk, model):
        model.open.clear()
        tasks = [Work(f"gone {at}", characters=characters, passes=100) for at in range(64)]
        jobs = [asyncio.ensure_future(desk.submit(task)) for task in tasks]
        await asyncio.to_thread(wait_until, lambda: model.passes == 1)
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        assert 0 < desk.waiting < len(tasks)  # those that threads are at
        model.open.set()
        assert await desk.submit(Work("a")) == "A"
        await asyncio.to_thread(wait_until, lambda: desk.waiting == 0)
        return model.passes

    passes, ended = run(scenario, most_waiting=64)
    assert passes <= 3  # the one that ran, that of "a", and at most one between
    assert {kind for name, kind in ended.items() if name != "a"} == {GoneError}


def test_large_ones_however_many_do_not_stand_before_small_ones():
    async def scenario(desk, model):
        model.open.clear()
        large = [asyncio.ensure_future(desk.submit(Work(f"{at}", 1, 500_000, 50))) for at in range(40)]
        await asyncio.to_thread(wait_until, lambda: model.passes == 1)
        small = asyncio.ensure_future(desk.submit(Work("small")))
        await asyncio.sleep(0)
        model.open.set()
        await small
        for one in large:
            one.cancel()

    _, ended = run(scenario, most_waiting=64)
    assert next(iter(ended)) == "small"


@on_glibc
@pytest.mark.parametrize("name", ["fine", "bad"])
def test_a_large_request_ends_with_what_it_freed_returned_and_a_small_one_need_not(name):
    async def left(desk, characters):
        await asyncio.gather(desk.submit(Work(name, characters=characters, holes=True)), return_exceptions=True)
        return returned()

    async def scenario(desk, _):
        return await left(desk, 10), await left(desk, 1_000_000)

    (small, large), _ = run(scenario)
    assert small > 0.8 * FREED
    assert large < 0.2 * FREED


def test_it_ends_when_what_has_come_is_answered_and_takes_no_more():
    async def scenario(desk, model):
        model.open.clear()
        job = asyncio.ensure_future(desk.submit(Work("a")))
        await asyncio.to_thread(wait_until, lambda: model.passes == 1)
        end = asyncio.ensure_future(asyncio.to_thread(desk.close))
        await asyncio.to_thread(wait_until, lambda: not desk.is_open)
        with pytest.raises(QueueFullError):
            await desk.submit(Work("late"))
        model.open.set()
        await end
        assert not desk.works
        return await job

    assert run(scenario)[0] == "A"


@pytest.mark.processes
def test_a_desk_in_a_forked_process_refuses_and_does_not_hang():
    desk = Desk(str, Turns(partial(run_together, Model())), most_waiting=1)
    context = multiprocessing.get_context("fork")
    found = context.Queue()

    def child():
        for call in (desk.open, lambda: asyncio.run(desk.submit(Work("a")))):
            try:
                call()
            except ForkError as error:
                found.put(str(error))

    process = context.Process(target=child)
    process.start()
    assert all("loaded by process" in found.get(timeout=20) for _ in range(2))
    process.join(20)
