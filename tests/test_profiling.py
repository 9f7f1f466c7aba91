"""A profile is a trace of some steps, and changes nothing about them."""

import json

import torch

from qa.profiling import RECORDED, SKIPPED, profiled


def steps(count, seen):
    for step in range(count):
        seen.append(step)
        with torch.profiler.record_function(f"step {step}"):
            torch.ones(4) @ torch.ones(4)
        yield step


def named(trace):
    return {event["name"] for event in json.loads(trace.read_text())["traceEvents"] if "name" in event}


def test_all_steps_pass_and_those_after_the_first_are_in_the_trace(tmp_path):
    trace, seen = tmp_path / "trace.json", []
    assert list(profiled(steps(10, seen), trace)) == list(range(10)) == seen
    recorded = {name for name in named(trace) if name.startswith("step ")}
    assert recorded == {f"step {at}" for at in range(SKIPPED, SKIPPED + RECORDED)}
    assert "aten::dot" in named(trace)


def test_steps_are_taken_when_asked_for(tmp_path):
    seen = []
    taken = profiled(steps(10, seen), tmp_path / "trace.json")
    assert [next(taken) for _ in range(4)] == seen == [0, 1, 2, 3]
    taken.close()


def test_a_run_with_fewer_steps_ends_as_it_would(tmp_path):
    assert list(profiled(steps(2, []), tmp_path / "trace.json")) == [0, 1]
    assert (tmp_path / "trace.json").exists()
