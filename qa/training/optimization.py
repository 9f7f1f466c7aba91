"""Parameter groups, AdamW, learning rate by step."""

import math
from collections import defaultdict

import torch
from torch import nn

from qa.config import TrainingConfig
from qa.modeling.structure import parameter_depths


def parameter_groups(model: nn.Module, weight_decay: float, *, layer_decay: float = 1.0) -> list[dict[str, object]]:
    """Group the trainable parameters by weight decay and by `rate_factor`, what the learning rate is multiplied by.

    Biases and all parameters of normalisation layers are not decayed. These are found by class: their parameters' names
    differ from model to model. The rate falls by `layer_decay` per layer from the head to the embeddings (Clark et al.,
    2020, arXiv:2003.10555).
    """
    undecayed = {
        parameter
        for module in model.modules()
        for name, parameter in module.named_parameters(recurse=False)
        if name.endswith("bias") or "norm" in type(module).__name__.lower()
    }
    depths = parameter_depths(model)
    grouped: dict[tuple[float, float], list[nn.Parameter]] = defaultdict(list)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decay = 0.0 if parameter in undecayed else weight_decay
            grouped[decay, layer_decay ** depths[name]].append(parameter)
    return [
        {"params": parameters, "weight_decay": decay, "rate_factor": factor}
        for (decay, factor), parameters in sorted(grouped.items(), key=lambda item: item[0], reverse=True)
    ]


def build_optimizer(
    model: nn.Module, config: TrainingConfig, device: torch.device, *, layer_decay: float = 1.0
) -> torch.optim.AdamW:
    """Build AdamW (Loshchilov and Hutter, 2019); the learning rate is set at every step, from `learning_rate`."""
    groups = parameter_groups(model, config.weight_decay, layer_decay=layer_decay)
    fused = config.fused if config.fused is not None else device.type in {"cpu", "cuda"}
    return torch.optim.AdamW(
        groups, lr=config.learning_rate, betas=config.adam_betas, eps=config.adam_epsilon, fused=fused
    )


def learning_rate(step: int, *, total: int, config: TrainingConfig, start: int = 0) -> float:
    """Return the learning rate of optimizer step `step` (from 0) of `total`, with a schedule that begins at `start`.

    It rises in a line over the warm-up, whose first step is not wasted on a rate of zero, and then follows the schedule
    down to where the step after the last would be zero.
    """
    step, total = step - start, total - start
    warmup = warmup_steps(total, config)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    left = (total - step) / max(total - warmup, 1)
    match config.schedule:
        case "constant":
            return config.learning_rate
        case "linear":
            return config.learning_rate * left
        case "polynomial":
            return float(config.learning_rate * left**config.schedule_power)
        case "cosine":
            return config.learning_rate * (1 + math.cos(math.pi * (1 - left))) / 2
        case "inverse_sqrt":
            return config.learning_rate * math.sqrt(max(warmup, 1) / (step + 1))


def warmup_steps(total: int, config: TrainingConfig) -> int:
    """Return the number of steps in which the learning rate rises."""
    return math.ceil(config.warmup_ratio * total) if config.warmup_steps is None else config.warmup_steps


def has_same_rates(steps: int, totals: tuple[int, int], *, start: int, config: TrainingConfig) -> bool:
    """Return whether runs of two lengths have the same learning rates in their first `steps` steps."""
    one, other = totals
    return all(
        learning_rate(step, total=one, config=config, start=start)
        == learning_rate(step, total=other, config=config, start=start)
        for step in range(start, steps)
    )


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of all parameter groups, each times its `rate_factor`."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("rate_factor", 1.0)
