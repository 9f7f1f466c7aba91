"""Names of devices and precisions, with machines that have other devices than this one."""

import pytest
import torch

from qa.errors import ConfigError
from qa.modeling.devices import find_device, find_precision, known_devices


@pytest.fixture
def machine(monkeypatch):
    """A function that makes torch see so many accelerators of a kind."""

    def has(kind, count):
        found = torch.device(kind) if count else None
        monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda **_: found)
        monkeypatch.setattr(torch.accelerator, "device_count", lambda: count)

    return has


def test_without_a_name_the_accelerator_is_taken_if_there_is_one(machine):
    machine("cuda", 0)
    assert (find_device(None), known_devices()) == (torch.device("cpu"), [torch.device("cpu")])
    machine("cuda", 2)
    assert find_device(None) == torch.device("cuda")
    assert known_devices() == [torch.device("cpu"), torch.device("cuda", 0), torch.device("cuda", 1)]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("cpu", "cpu"),
        ("cuda", "cuda"),
        ("cuda:1", "cuda:1"),
        (1, "cuda:1"),
        (torch.device("cuda", 0), "cuda:0"),
        ("cpu:0", "cpu:0"),
        (-1, None),
    ],
)
def test_a_device_has_a_name_or_a_number(machine, name, wanted):
    machine("cuda", 2)
    if wanted is None:
        with pytest.raises(ConfigError):
            find_device(name)
    else:
        assert find_device(name) == torch.device(wanted)


@pytest.mark.parametrize("name", ["cuda:2", 2, "mps", "gpu7", "", True, "meta"])
def test_what_this_machine_does_not_have_is_named_with_what_it_has(machine, name):
    machine("cuda", 2)
    with pytest.raises(ConfigError) as error:
        find_device(name)
    assert str(error.value) == f"device is {name!r}; this machine has cpu, cuda:0, cuda:1"


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        (None, torch.float32),
        ("bfloat16", torch.bfloat16),
        ("torch.float16", torch.float16),
        (torch.float64, torch.float64),
    ],
)
def test_a_precision_is_a_type_that_models_compute_in(name, wanted):
    assert find_precision(name) == wanted


@pytest.mark.parametrize("name", ["int64", torch.int8, "float8_e4m3fn", "nn", "half precision", ""])
def test_another_precision_is_named_with_those_there_are(name):
    with pytest.raises(ConfigError, match=r"^dtype is .*; wanted one of float32, bfloat16, float16, float64$"):
        find_precision(name)
