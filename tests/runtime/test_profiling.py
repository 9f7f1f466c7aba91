"""A profile is a trace of some steps, and changes nothing about them."""

import json

import pytest
import torch

import train_qa
from qa.presets import parse_config
from qa.run_folder.paths import RunPaths
from qa.runtime.profiling import RECORDED, SKIPPED, profiled
from tests.support import tiny


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


def test_without_a_path_nothing_is_recorded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert list(profiled(steps(10, []), None)) == list(range(10))
    assert not list(tmp_path.iterdir())


def test_a_run_with_fewer_steps_ends_as_it_would(tmp_path):
    assert list(profiled(steps(2, []), tmp_path / "trace.json")) == [0, 1]
    assert (tmp_path / "trace.json").exists()


@pytest.mark.usefixtures("fresh_accelerator")
@pytest.mark.parametrize("flags", [[], ["--training.profile"]])
def test_a_run_leaves_a_trace_of_its_steps_when_asked_for(flags, tmp_path):
    sizes = ["--features.max-length", "64", "--features.max-question-length", "16", "--features.doc-stride", "8"]
    few = ["--max-train-examples", "12", "--max-validation-examples", "3", "--training.batch-size", "2"]
    folders = ["--output-dir", str(tmp_path / "run"), "--features.cache-dir", str(tmp_path / "cache")]
    model = ["--model", str(tiny.save_reader(tmp_path / "reader")), "--tracking.report-to", "none"]
    train_qa.run(parse_config([*model, *folders, *sizes, *few, "--training.max-steps", "5", *flags]))
    trace = RunPaths(tmp_path / "run").trace
    assert trace.exists() == bool(flags)
    if flags:
        assert "aten::addmm" in named(trace)
