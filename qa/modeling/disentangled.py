"""DeBERTa's attention by the package disentangled-flash: exact, and without a matrix of all pairs of tokens on a GPU.

The package replaces the encoder. Names of weights stay, so that a model is saved and loaded like any other.
"""

import importlib
from types import ModuleType
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from qa.config import TrainingConfig
from qa.errors import ConfigError, MissingPackageError, ModelError

DISENTANGLED = "disentangled-flash"
"""The word for it among the kinds of attention."""
_TYPE = "deberta-v2"  # also of DeBERTa v3; v1 has other weights
_HEAD_SIZES = (32, 64, 128)  # of which the package has kernels


def require_disentangled(model: PreTrainedModel, *, lora: bool) -> None:
    """Check that a model's attention can be computed so.

    Args:
        model: as it was loaded.
        lora: whether low-rank matrices will stand beside its weights, of which the package reads these alone.

    Raises:
        ModelError: it is no DeBERTa v2 or v3.
        ConfigError: there will be low-rank matrices.
        MissingPackageError: the package is not installed.

    """
    found = model.config.model_type
    if found != _TYPE:
        raise ModelError(f"training.attention is {DISENTANGLED!r}, which is for {_TYPE}; found {found}")
    if lora:
        raise ConfigError(f"training.attention is {DISENTANGLED!r}, which would pass low-rank matrices by; wanted none")
    _package()


def use_disentangled(model: PreTrainedModel, config: TrainingConfig, device: torch.device) -> None:
    """Let a model compute attention by the package, in place, if the configuration says so.

    On CUDA devices by its kernels, elsewhere by its operations of PyTorch. Dropout stays as it was set. Layers have new
    parameters afterwards.

    Raises:
        ModelError: on a CUDA device, heads of a size that there are no kernels for.

    """
    if config.attention != DISENTANGLED:
        return
    encoder: Any = model.base_model
    dropout = [_probabilities(layer.attention.self) for layer in encoder.encoder.layer]
    backend = "triton" if device.type == "cuda" else "torch"
    _package().optimize_deberta_training(encoder, backend=backend)
    if backend != getattr(encoder.encoder, "backend", None):  # it leaves what it has no kernels for as it was
        size = model.config.hidden_size // model.config.num_attention_heads
        raise ModelError(
            f"training.attention is {DISENTANGLED!r}, which has no kernels for heads of {size} on this machine; wanted "
            f"one of {', '.join(map(str, _HEAD_SIZES))}, and Triton"
        )
    for layer, kept in zip(encoder.encoder.layer, dropout, strict=True):
        attention = layer.attention.self
        for name, probability in kept.items():
            getattr(attention, name).p = probability
        attention.attention_probability_dropout = kept["dropout"]  # what the kernels drop weights by


def _probabilities(attention: nn.Module) -> dict[str, float]:
    """Return what attention drops, by the name of the module that does."""
    return {name: module.p for name, module in attention.named_children() if isinstance(module, nn.Dropout)}


def _package() -> ModuleType:
    try:
        return importlib.import_module("disentangled_flash")
    except ImportError as error:
        raise MissingPackageError(
            f"training.attention {DISENTANGLED} needs a package: pip install 'extractive-qa[deberta]'"
        ) from error
