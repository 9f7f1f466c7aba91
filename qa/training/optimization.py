"""Parameter groups, the optimizer, and the learning rate as a function of the step."""

import math

import torch
from torch import nn

from qa.config import TrainingConfig


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Split the trainable parameters: biases and all parameters of normalisation layers are not decayed.

    Normalisation layers are found by class: their parameters' names differ from model to model.
    """
    undecayed = {
        parameter
        for module in model.modules()
        for name, parameter in module.named_parameters(recurse=False)
        if name.endswith("bias") or "norm" in type(module).__name__.lower()
    }
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in trainable if p not in undecayed], "weight_decay": weight_decay},
        {"params": [p for p in trainable if p in undecayed], "weight_decay": 0.0},
    ]


def build_optimizer(model: nn.Module, config: TrainingConfig, device: torch.device) -> torch.optim.AdamW:
    """Build AdamW (Loshchilov and Hutter, 2019); the learning rate is set at every step, from `learning_rate`."""
    groups = parameter_groups(model, config.weight_decay)
    fused = config.fused if config.fused is not None else device.type in {"cpu", "cuda"}
    return torch.optim.AdamW(groups, lr=config.learning_rate, eps=config.adam_epsilon, fused=fused)


def learning_rate(step: int, *, total: int, config: TrainingConfig) -> float:
    """Return the learning rate of optimizer step `step` (from 0) of `total`.

    It rises in a line over the warm-up, whose first step is not wasted on a rate of zero, and then follows the schedule
    down to where the step after the last would be zero.
    """
    warmup = math.ceil(config.warmup_ratio * total)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    left = (total - step) / max(total - warmup, 1)
    match config.schedule:
        case "constant":
            return config.learning_rate
        case "linear":
            return config.learning_rate * left
        case "cosine":
            return config.learning_rate * (1 + math.cos(math.pi * (1 - left))) / 2


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of all parameter groups."""
    for group in optimizer.param_groups:
        group["lr"] = rate
