"""Layers, unused parameters, compilation, recomputation, dropout, freezing."""

import copy
import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from qa.config import RecipeConfig, TrainingConfig
from qa.errors import ConfigError
from qa.modeling.attention import AUTO
from qa.modeling.disentangled import use_disentangled
from qa.modeling.dropout import use_cheap_dropout
from qa.modeling.lora import add_lora

_LAYER = re.compile(r"\.(\d+)\.")
"""What tells in a parameter's name which layer it is of."""
_HIDDEN, _ATTENTION = 0.123456789, 0.987654321
"""Probabilities that no model has, to find out where a configuration's go."""
_SHAPES = 64  # of batches, that the compiler may see: far more than lengths and batch sizes make


def configure_for_training(
    model: PreTrainedModel, config: TrainingConfig, recipe: RecipeConfig, device: torch.device
) -> None:
    """Set dropout, attention, freeze, add LoRA, and switch on recomputation, compilation or cheap dropout, in place.

    Dropout is cheap on a CPU; a compiled encoder keeps torch's, which the compiler fuses.

    Raises:
        ConfigError: more frozen layers than there are, or see `add_lora`.
        ModelError: see `use_disentangled`.

    """
    set_dropout(model, hidden=recipe.dropout, attention=recipe.attention_dropout)
    use_disentangled(model, config, device)
    freeze(model, layers=recipe.frozen_layers, embeddings=recipe.freeze_embeddings)
    add_lora(model, recipe)
    if config.gradient_checkpointing:
        model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
    if config.compile:
        model.base_model.compile(dynamic=False, mode=config.compile_mode)
        torch.compiler.config.recompile_limit = _SHAPES
    elif device.type == "cpu":
        use_cheap_dropout(model, attention=config.attention == AUTO)


def set_dropout(model: PreTrainedModel, *, hidden: float | None, attention: float | None) -> None:
    """Set the probabilities with which a model drops hidden states and attention weights; None leaves them.

    Models name them differently and keep them in modules or attributes. So a twin without weights is made of a
    configuration in which each has a probability of its own, which tells where it went. The model's configuration, with
    which it is saved, stays.
    """
    if hidden is None and attention is None:
        return  # some architectures allow no dropout at all
    chosen = {_HIDDEN: hidden, _ATTENTION: attention}
    config = copy.deepcopy(model.config)
    for name, value in vars(config).items():
        if "drop" in name and isinstance(value, float):
            setattr(config, name, _ATTENTION if "att" in name else _HIDDEN)
    with torch.device("meta"):
        twin = type(model)(config)
    for module, other in zip(model.modules(), twin.modules(), strict=True):
        for name, value in vars(other).items():
            if isinstance(value, float) and chosen.get(value) is not None:
                setattr(module, name, chosen[value])


def freeze(model: PreTrainedModel, *, layers: int, embeddings: bool) -> None:
    """Exclude the lowest layers and the embeddings from training.

    Raises:
        ConfigError: more layers than there are.

    """
    if not (layers or embeddings):
        return
    depths = parameter_depths(model)
    lowest = max(depths.values())
    if layers > lowest - 1:
        raise ConfigError(f"recipe.frozen-layers is {layers}; wanted at most {lowest - 1}, the layers of the model")
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(depths[name] < lowest - layers)


def parameter_depths(model: nn.Module) -> dict[str, int]:
    """Return how many layers each parameter is below the head: 0 in the head, most in the embeddings."""
    prefix = f"{getattr(model, 'base_model_prefix', '')}."
    names = [name for name, _ in model.named_parameters()]
    layers = {name: int(found[1]) for name in names if name.startswith(prefix) and (found := _LAYER.search(name))}
    count = max(layers.values(), default=-1) + 1
    return {name: _depth(name, layers.get(name), count, in_encoder=name.startswith(prefix)) for name in names}


def _depth(name: str, layer: int | None, layers: int, *, in_encoder: bool) -> int:
    if layer is not None:
        return layers - layer
    if not in_encoder:
        return 0
    return layers + 1 if "embed" in name else 1  # what follows the last layer, such as its norm


def layer_names(model: nn.Module) -> list[str]:
    """Return the names of the classes of an encoder's layers: of what it has lists of, but not what these have."""
    names: set[str] = set()
    parts: set[nn.Module] = set()
    for module in model.modules():  # what holds others comes before them
        if isinstance(module, nn.ModuleList) and module not in parts:
            layers = [one for one in module if not isinstance(one, nn.ModuleList)]  # Funnel has lists of lists
            names.update(type(layer).__name__ for layer in layers)
            parts.update(part for layer in layers for part in layer.modules())
    return sorted(names)


def has_unused_parameters(model: PreTrainedModel, window: Mapping[str, Tensor]) -> bool:
    """Return whether some trainable parameters take no part in the logits, as XLNet's embedding of masked tokens.

    Processes that exchange gradients must know, or they wait for what never comes. Costs a pass over the window.
    """
    training = model.training
    model.train(mode=False)
    with torch.compiler.set_stance("force_eager"):
        output = model(**window)
    (output.start_logits + output.end_logits).sum().backward()
    unused = any(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    model.zero_grad()
    model.train(training)
    return unused
