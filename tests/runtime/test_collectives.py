"""What the main process does for all, and what it tells the others."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator

from qa.config import FeaturesConfig, RunConfig, TrainingConfig
from qa.errors import ConfigError, LaunchError
from qa.runtime import collectives
from qa.runtime.collectives import (
    any_process,
    average_gradients,
    from_main,
    on_main,
    require_same,
    require_same_config,
)

pytestmark = pytest.mark.usefixtures("fresh_accelerator")


def fails():
    raise ConfigError("no such thing")


def test_error_of_the_main_process_is_raised():
    with pytest.raises(ConfigError, match="no such thing"):
        on_main(Accelerator(cpu=True), fails)
    with pytest.raises(ConfigError, match="no such thing"):
        from_main(Accelerator(cpu=True), fails)


def test_result_of_the_main_process_is_returned():
    assert on_main(Accelerator(cpu=True), lambda: 3) == 3
    assert from_main(Accelerator(cpu=True), lambda: {"a": 1}) == {"a": 1}


def test_other_processes_run_nothing(monkeypatch):
    accelerator = Accelerator(cpu=True)
    monkeypatch.setattr(type(accelerator), "is_main_process", False)
    assert on_main(accelerator, fails) is None


def test_error_that_the_main_process_tells_is_raised_elsewhere(monkeypatch):
    accelerator = Accelerator(cpu=True)
    monkeypatch.setattr(type(accelerator), "is_main_process", False)
    monkeypatch.setattr(collectives, "broadcast_object_list", lambda _: [ConfigError("over there")])
    with pytest.raises(ConfigError, match="over there"):
        on_main(accelerator, lambda: 3)


def test_a_fact_of_any_process_counts():
    accelerator = Accelerator(cpu=True)
    assert any_process(accelerator, fact=True) is True
    assert any_process(accelerator, fact=False) is False


def test_gradients_are_averaged_where_there_are_any(monkeypatch):
    accelerator = Accelerator(cpu=True)
    monkeypatch.setattr(accelerator, "reduce", lambda tensor, how: {"mean": tensor / 2}[how])
    trained, frozen = torch.nn.Parameter(torch.zeros(2)), torch.nn.Parameter(torch.zeros(2))
    trained.grad = torch.tensor([2.0, 4.0])
    average_gradients(accelerator, [trained, frozen])
    assert trained.grad.tolist() == [1.0, 2.0]
    assert frozen.grad is None


def test_gradients_of_one_type_are_exchanged_together_up_to_a_size(monkeypatch):
    accelerator, exchanged = Accelerator(cpu=True), []
    monkeypatch.setattr(collectives, "BUCKET_BYTES", 24)

    def reduce(tensor, how):
        exchanged.append(len(tensor))
        return {"mean": tensor / 2}[how]

    monkeypatch.setattr(accelerator, "reduce", reduce)
    shapes = [((2, 2), torch.float32), ((2,), torch.float32), ((9,), torch.float32), ((1,), torch.float32)]
    shapes += [((1,), torch.float64), ((), torch.float64)]
    parameters = [torch.nn.Parameter(torch.zeros(shape, dtype=dtype)) for shape, dtype in shapes]
    for number, parameter in enumerate(parameters):
        parameter.grad = torch.full_like(parameter, number)
    kept = [parameter.grad for parameter in parameters]
    average_gradients(accelerator, parameters)
    assert exchanged == [6, 9, 1, 2]
    for number, (parameter, gradient) in enumerate(zip(parameters, kept, strict=True)):
        assert parameter.grad is gradient
        assert torch.equal(gradient, torch.full_like(parameter, number / 2))


@pytest.fixture
def process_0(monkeypatch):
    """A function that lets process 0 have other values."""
    return lambda values: monkeypatch.setattr(collectives, "broadcast_object_list", lambda _: [values])


def test_processes_that_differ_are_named_with_both_values(process_0):
    require_same(Accelerator(cpu=True), {"seed": 1})
    process_0({"seed": 1, "steps": 5, "lost": "x"})
    with pytest.raises(LaunchError) as error:
        require_same(Accelerator(cpu=True), {"seed": 1, "steps": 6, "new": None})
    assert str(error.value) == (
        "the processes were not started alike: lost is None on process 0 and 'x' on process 0; "
        "steps is 6 on process 0 and 5 on process 0"
    )


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"output_dir": Path("b"), "model": "/elsewhere/model", "validation_data": "there.json"}, None),
        ({"features": FeaturesConfig(cache_dir=Path("c"))}, None),
        ({"validation_data": None}, "validation_data is given is True on process 0 and False on process 0"),
        ({"resume": "auto"}, "resume is given is False on process 0 and True on process 0"),
        ({"seed": 7}, "seed is 42 on process 0 and 7 on process 0"),
        ({"training": TrainingConfig(batch_size=3)}, "training/batch_size is 16 on process 0 and 3 on process 0"),
    ],
)
def test_paths_may_differ_between_machines_but_nothing_else(change, named, monkeypatch):
    accelerator, config = Accelerator(cpu=True), RunConfig(validation_data="here.json", output_dir=Path("a"))
    sent = []
    monkeypatch.setattr(collectives, "broadcast_object_list", lambda values: sent.extend(values) or values)
    require_same_config(accelerator, replace(config, **change))
    monkeypatch.setattr(collectives, "broadcast_object_list", lambda _: sent)
    if named is None:
        require_same_config(accelerator, config)
        return
    with pytest.raises(LaunchError, match=f"^the processes were not started alike: {named}$"):
        require_same_config(accelerator, config)
