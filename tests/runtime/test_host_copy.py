import pytest
import torch

from qa.runtime.host_copy import HostCopy


def test_numbers_of_the_host_are_there_at_once():
    copy = HostCopy(torch.tensor([1.5, torch.inf]))
    assert copy.is_here
    assert copy.read() == [1.5, torch.inf]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_reading_a_devices_numbers_waits_for_them_alone():
    torch.cuda.set_sync_debug_mode("error")
    try:
        copy = HostCopy(torch.full((2,), 3.0, device="cuda") * 2)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert not copy.is_here
    assert copy.read() == [6.0, 6.0]
