"""Weights and optimizer state as named tensors, there and back."""

import json

import pytest
import torch
from safetensors import safe_open

from qa.errors import CheckpointError
from qa.files import MANIFEST
from tests.support import tiny
from tests.support.checkpoints import ROWS, names, new_loop, resume, save
from tests.support.trainers import loop_for


def test_optimizer_state_comes_back_bit_by_bit(tmp_path):
    loop = new_loop(max_steps=3)
    list(loop.steps())
    save(loop, tmp_path)
    other = new_loop(model_seed=1, max_steps=3)
    resume(other, tmp_path)
    one, two = (t.optimizer.optimizer.state_dict() for t in (loop, other))
    assert one["state"].keys() == two["state"].keys()
    for at, moments in one["state"].items():
        assert moments.keys() == two["state"][at].keys() >= {"exp_avg", "exp_avg_sq", "step"}
        for name, value in moments.items():
            assert torch.equal(value, two["state"][at][name]), name
    for group, again in zip(one["param_groups"], two["param_groups"], strict=True):
        assert group["weight_decay"] == again["weight_decay"]


def test_checkpoint_holds_nothing_that_could_be_pickled(saved):
    for checkpoint in (saved / "checkpoints").iterdir():
        assert names(checkpoint) == [MANIFEST, "model.safetensors", "optimizer.safetensors", "state.json"]
        json.loads((checkpoint / "state.json").read_text())
        for name in ("model", "optimizer"):
            with safe_open(checkpoint / f"{name}.safetensors", framework="pt") as file:
                assert list(file.keys())


def test_another_architecture_is_refused(saved):
    loop = loop_for(ROWS, model=tiny.model(num_hidden_layers=1), max_steps=6)
    loop.plan = new_loop(max_steps=6).plan
    with pytest.raises(CheckpointError, match="does not fit this model"):
        resume(loop, saved)
