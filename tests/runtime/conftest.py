"""What every process of a test starts from."""

import pytest
import torch

LAUNCHER = ("WORLD_SIZE", "LOCAL_WORLD_SIZE", "ACCELERATE_MIXED_PRECISION", "ACCELERATE_USE_CPU", "OMP_NUM_THREADS")


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    """As without a launcher; threads are put back."""
    for name in LAUNCHER:
        monkeypatch.delenv(name, raising=False)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
