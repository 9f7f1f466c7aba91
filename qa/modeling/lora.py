"""Low-rank matrices beside the weights (LoRA; Hu et al., 2021), by the package peft.

Only they and the head are trained. What is saved as the model has them added to its weights, so that it loads like any
other; beside it stands what was added, as peft's own format.
"""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from qa.config import RecipeConfig
from qa.errors import ConfigError, MissingPackageError

ADAPTER = "adapter"
"""Folder of a saved model in which the matrices and the head are by themselves."""
_NAME = "default"  # peft's own, which stands in the names of parameters
_BASE, _LOW, _HIGH = ".base_layer.", f".lora_A.{_NAME}.weight", f".lora_B.{_NAME}.weight"


def require_peft(recipe: RecipeConfig) -> None:
    """Check that what the recipe needs is installed.

    Raises:
        MissingPackageError: it is not.

    """
    if recipe.lora_rank:
        _peft()


def add_lora(model: PreTrainedModel, recipe: RecipeConfig) -> None:
    """Put low-rank matrices beside the linear layers of the encoder, in place, and train only them and the head.

    They are drawn from the seed of torch's generator, whatever has been drawn from it before. The first pass is that of
    the model as it was.

    Raises:
        ConfigError: no linear layer of the encoder has a wanted name.
        MissingPackageError: peft is not installed.

    """
    if not recipe.lora_rank:
        return
    peft = _peft()
    config = peft.LoraConfig(
        r=recipe.lora_rank,
        lora_alpha=recipe.lora_alpha,
        lora_dropout=recipe.lora_dropout,
        target_modules=_targets(model, recipe.lora_targets),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch.initial_seed())
        peft.inject_adapter_in_model(config, model, adapter_name=_NAME)
    encoder = f"{model.base_model_prefix}."
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(".lora_" in name or not name.startswith(encoder))


def has_lora(weights: Mapping[str, Any]) -> bool:
    """Return whether weights are those of a model with low-rank matrices."""
    return any(name.endswith(_LOW) for name in weights)


def merged_weights(weights: Mapping[str, Tensor], *, alpha: float) -> dict[str, Tensor]:
    """Return the weights of the model as it was, with the products of the matrices added.

    Args:
        weights: by name, on the CPU.
        alpha: `RecipeConfig.lora_alpha`; over the rank it is what the products are multiplied by.

    """
    merged = {}
    for name, weight in weights.items():
        layer, _, kind = name.rpartition(_BASE)
        if layer and kind == "weight":
            low, high = (weights[f"{layer}{part}"].float() for part in (_LOW, _HIGH))
            merged[f"{layer}.weight"] = weight + (alpha / len(low)) * (high @ low)
        elif not name.endswith((_LOW, _HIGH)):
            merged[name.replace(_BASE, ".")] = weight
    return merged


def plain_twin(model: PreTrainedModel) -> PreTrainedModel:
    """Return a model of the same class and configuration without the matrices, and without weights."""
    with torch.device("meta"):
        return type(model)(model.config)


def alpha_of(model: PreTrainedModel) -> float:
    """Return the `alpha` of a model with low-rank matrices."""
    return float(_config_of(model).lora_alpha)


def merge_adapter(model: PreTrainedModel) -> None:
    """Add the adapter that a model was loaded with to its weights, in place; others stay as they are.

    So it can be trained and saved like any other: peft freezes all weights of what it loads, and renames some.

    Raises:
        ValueError, NotImplementedError: it is of a kind that cannot be added.

    """
    if "peft_config" not in vars(model):
        return
    replaced: list[str] = []
    for name, module in list(model.named_modules()):
        plain = None if name.startswith(tuple(replaced)) else _without_adapter(module)
        if plain is not None:
            model.set_submodule(name, plain)
            replaced.append(f"{name}.")
    del model.peft_config
    model._hf_peft_config_loaded = False  # noqa: SLF001  # by which the library decides what to save
    model.requires_grad_(requires_grad=True)


def _without_adapter(module: Any) -> nn.Module | None:  # noqa: ANN401  # of a package that may not be installed
    """Return what stands for a module of peft's when its adapter is added; None for any other module."""
    if hasattr(module, "unload_and_optionally_merge_module"):  # trained whole, as heads are
        whole: nn.Module = module.unload_and_optionally_merge_module(merge=True, safe_merge=False, adapter_names=None)
        return whole
    if not hasattr(module, "get_base_layer"):
        return None
    module.merge()
    base: nn.Module = module.get_base_layer()
    return base


def save_adapter(model: PreTrainedModel, weights: Mapping[str, Tensor], folder: Path) -> None:
    """Write matrices and head as peft's `PeftModel.from_pretrained(model, folder)` loads them.

    Raises:
        OSError, SafetensorError: they cannot be written.

    """
    encoder, config = f"{model.base_model_prefix}.", _config_of(model)
    heads = sorted({name.partition(".")[0] for name in weights if not name.startswith(encoder)})
    wanted = {
        f"base_model.model.{name.replace(f'.{_NAME}.', '.')}": weight.contiguous()
        for name, weight in weights.items()
        if name.endswith((_LOW, _HIGH)) or not name.startswith(encoder)
    }
    folder.mkdir(parents=True, exist_ok=True)
    saved = type(config)(
        r=config.r,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        target_modules=sorted(config.target_modules),
        modules_to_save=heads,
        base_model_name_or_path=str(model.name_or_path),
        task_type=None,  # peft's class for QUESTION_ANS keeps token types from the model (0.21)
        inference_mode=True,
    )
    saved.save_pretrained(str(folder))
    save_file(wanted, folder / "adapter_model.safetensors", metadata={"format": "pt"})


def _config_of(model: PreTrainedModel) -> Any:  # noqa: ANN401  # of a package that may not be installed
    return vars(model)["peft_config"][_NAME]


def _targets(model: PreTrainedModel, wanted: tuple[str, ...]) -> list[str]:
    encoder = f"{model.base_model_prefix}."
    linear = [
        name for name, module in model.named_modules() if isinstance(module, nn.Linear) and name.startswith(encoder)
    ]
    found = [name for name in linear if not wanted or name.rpartition(".")[2] in wanted]
    missing = set(wanted) - {name.rpartition(".")[2] for name in found}
    if missing or not found:
        known = ", ".join(sorted({name.rpartition(".")[2] for name in linear})) or "none"
        raise ConfigError(
            f"recipe.lora-targets has {', '.join(sorted(missing)) or 'nothing'} that this model's encoder lacks; "
            f"wanted some of its linear layers: {known}"
        )
    return found


def _peft() -> Any:  # noqa: ANN401  # a package that may not be installed
    try:
        return importlib.import_module("peft")
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"not installed: {error.name}, which recipe.lora-rank needs; install it with: "
            "pip install 'extractive-qa[lora]'"
        ) from error
