"""Layers, unused parameters, compilation, recomputation."""

import torch
from torch import nn
from transformers import PreTrainedModel

from qa.config import TrainingConfig
from qa.modeling.dropout import use_cheap_dropout

_SHAPES = 64  # of batches, that the compiler may see: far more than lengths and batch sizes make


def configure_for_training(model: PreTrainedModel, config: TrainingConfig, device: torch.device) -> None:
    """Switch on recomputation of activations, compilation of the encoder or, on a CPU, cheap dropout, in place.

    A compiled encoder keeps torch's dropout, which the compiler fuses.
    """
    if config.gradient_checkpointing:
        model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
    if config.compile:
        model.base_model.compile(dynamic=False)
        torch.compiler.config.recompile_limit = _SHAPES
    elif device.type == "cpu":
        use_cheap_dropout(model)


def layer_names(model: nn.Module) -> list[str]:
    """Return the names of the classes of an encoder's layers: of what it has lists of."""
    lists = (module for module in model.modules() if isinstance(module, nn.ModuleList))
    return sorted({type(layer).__name__ for layers in lists for layer in layers})


def has_unused_parameters(model: PreTrainedModel) -> bool:
    """Return whether some trainable parameters take no part in the logits, as XLNet's embedding of masked tokens.

    Processes that exchange gradients must know, or they wait for what never comes. Costs a pass over two tokens.
    """
    training = model.training
    model.train(mode=False)
    tokens = torch.zeros(1, 2, dtype=torch.long, device=model.device)
    with torch.compiler.set_stance("force_eager"):
        output = model(input_ids=tokens, attention_mask=torch.ones_like(tokens))
    (output.start_logits + output.end_logits).sum().backward()
    unused = any(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    model.zero_grad()
    model.train(training)
    return unused
