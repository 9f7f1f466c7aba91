import pytest
import torch

from qa.runtime.host_copy import HostCopy
from tests.support.counters import waits_forbidden


def test_numbers_of_the_host_are_there_at_once():
    copy = HostCopy(torch.tensor([1.5, torch.inf]))
    assert copy.is_here
    assert copy.read() == [1.5, torch.inf]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_reading_a_devices_numbers_waits_for_them_alone():
    with waits_forbidden():
        copy = HostCopy(torch.full((2,), 3.0, device="cuda") * 2)
    assert not copy.is_here
    assert copy.read() == [6.0, 6.0]
