import pytest
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType

from qa.runtime import own_time
from qa.runtime.own_time import OwnTime
from tests.support.counters import waits_forbidden


@pytest.fixture
def clock(monkeypatch):
    """A clock that moves on by the next of the given seconds whenever it is read."""

    def made(*readings):
        told = iter(readings)
        monkeypatch.setattr(own_time.time, "perf_counter", lambda: next(told))

    return made


@pytest.mark.usefixtures("fresh_accelerator")
def test_seconds_are_added_up_until_they_are_taken(clock):
    own = OwnTime(Accelerator(cpu=True))
    clock(10.0, 12.0, 20.0, 20.5)
    for _ in range(2):
        with own.measured():
            pass
    own.add(4.0)
    assert own.take() == 6.5
    assert own.take() == 0.0


@pytest.mark.usefixtures("fresh_accelerator")
def test_what_ends_in_an_error_does_not_count():
    own = OwnTime(Accelerator(cpu=True))
    with pytest.raises(MemoryError), own.measured():
        raise MemoryError
    assert own.take() == 0.0


@pytest.mark.usefixtures("fresh_accelerator")
def test_nothing_counts_where_a_pass_waits_for_other_processes():
    accelerator = Accelerator(cpu=True)
    accelerator.state.distributed_type = DistributedType.FSDP
    own = OwnTime(accelerator)
    with own.measured():
        own.add(1.0)
    assert own.take() == 0.0


@pytest.mark.gpu
@pytest.mark.usefixtures("fresh_accelerator")
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_devices_seconds_are_taken_without_waiting_for_it():
    own = OwnTime(Accelerator())
    matrix = torch.ones(4096, 4096, device="cuda")
    with waits_forbidden():
        with own.measured():
            matrix @ matrix
        own.take()
    with own.measured():
        matrix @ matrix
    torch.cuda.synchronize()
    assert own.take() > 0.0
