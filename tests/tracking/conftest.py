"""No key of W&B's, its process ended after each test; and cores that are free, however busy the machine is."""

import pytest
import wandb

from qa.runtime.core_wait import CoreWait


@pytest.fixture(autouse=True)
def clean_accelerate(monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    yield
    wandb.teardown()


@pytest.fixture(autouse=True)
def free_cores(monkeypatch):
    monkeypatch.setattr(CoreWait, "take", lambda _: 0.0)
