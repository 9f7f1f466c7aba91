"""No key of W&B's, and its process ended after each test."""

import pytest
import wandb


@pytest.fixture(autouse=True)
def clean_accelerate(monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    yield
    wandb.teardown()
