"""A checkpoint -> a model that has all of its weights, or an error that says which are not there.

The library draws what it does not find, and says so in a table; what it draws of an encoder makes answers random, and
training begin from nothing.
"""

import json
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import nn
from transformers import PreTrainedModel
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, WEIGHTS_INDEX_NAME, WEIGHTS_NAME

from qa.errors import ModelError
from qa.modeling.conditional_head import load_with_head
from qa.modeling.lora import merge_adapter
from qa.modeling.settings import find_file

log = logging.getLogger(__name__)

_ADAPTER, _ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_WHOLE = (SAFE_WEIGHTS_NAME, SAFE_WEIGHTS_INDEX_NAME, WEIGHTS_NAME, WEIGHTS_INDEX_NAME)
_IN_ADAPTER = re.compile(r"^base_model\.model\.|\.(modules_to_save|base_layer)(\.\w+)?(?=\.(weight|bias)$)")
"""What peft puts into the names of weights that it saves whole."""
_OF_ADAPTER = ".lora_"
_NUMBER = re.compile(r"(?<=\.)\d+(?=\.)")
_MESSAGE_NAMES = 2  # of weights, in a message


def load_checkpoint(source: str, *, name: str, **options: Any) -> tuple[PreTrainedModel, bool]:  # noqa: ANN401
    """Load a model for spans whose encoder is all in the checkpoint; its head may be new.

    Names may have something before them that the model's have not, such as `module.` of a model that was saved as it
    was wrapped, or `model.` of a language model.

    Args:
        source: folder or hub id.
        name: what messages call the model.
        options: of `from_pretrained`.

    Returns:
        The model, and whether its head was drawn at random.

    Raises:
        ModelError: weights of the encoder or of an adapter are missing; or an adapter stands beside a whole model.

    """
    _require_one_kind(source, name, options.get("revision"))
    model, info = load_with_head(source, **options)
    missing, unexpected = sorted(info["missing_keys"]), sorted(info["unexpected_keys"])
    wrapper = _wrapper([key for key in missing if _is_encoders(key, model)], unexpected, f"{model.base_model_prefix}.")
    if wrapper and "key_mapping" not in options:
        log.info("the weights of model %r are called %s…, which is left out", name, wrapper)
        return load_checkpoint(source, name=name, key_mapping={f"^{re.escape(wrapper)}": ""}, **options)
    _require_adapter(missing, name)
    missing += _missing_beneath_adapter(source, options)
    merge_adapter(model)
    _require_encoder(model, missing, unexpected, name)
    _tell_left_out(model, unexpected, name)
    return model, not all(_is_encoders(key, model) for key in missing)


def _require_one_kind(source: str, name: str, revision: str | None) -> None:
    """Check that no adapter stands beside a whole model, to which the library adds it, merged or not."""
    if find_file(source, _ADAPTER, revision=revision) is None:
        return
    whole = next((file for file in _WHOLE if find_file(source, file, revision=revision)), None)
    if whole:
        raise ModelError(
            f"model {name!r} has {_ADAPTER} and {whole}: an adapter that may be in these weights already; wanted a "
            "folder of either"
        )


def _is_encoders(key: str, model: PreTrainedModel) -> bool:
    """Return whether a weight is not the head's; a model without a base model (T5) embeds tokens in its encoder."""
    part = key.split(".", maxsplit=1)[0]
    if hasattr(model, model.base_model_prefix):
        return part == model.base_model_prefix
    return any(isinstance(module, nn.Embedding) for module in model.get_submodule(part).modules())


def _wrapper(missing: Sequence[str], unexpected: Sequence[str], base: str) -> str:
    """Return what stands before the names of all that is missing; nothing where that is not all there is to it."""
    if not missing:
        return ""
    first = missing[0]
    ends = [first, first.removeprefix(base)]
    found = {name.removesuffix(end) for end in ends for name in unexpected if name.endswith(f".{end}")}
    named = set(unexpected)
    return next((one for one in sorted(found) if all(_is_named(name, one, base, named) for name in missing)), "")


def _is_named(name: str, wrapper: str, base: str, names: set[str]) -> bool:
    return f"{wrapper}{name}" in names or f"{wrapper}{name.removeprefix(base)}" in names


def _require_adapter(missing: Sequence[str], name: str) -> None:
    absent = [key for key in missing if _OF_ADAPTER in key]
    if absent:
        raise ModelError(
            f"model {name!r} is an adapter of which the library does not find {len(absent)} weights: wanted "
            f"{_some(absent)} (those of DoRA it never finds: merge_and_unload of peft saves a model without them)"
        )


def _missing_beneath_adapter(source: str, options: Mapping[str, Any]) -> list[str]:
    """Return what neither a folder of an adapter (peft) has nor the model that it is for; nothing for other folders."""
    settings, revision = find_file(source, _ADAPTER, revision=options.get("revision")), options.get("revision")
    if settings is None:
        return []
    base = json.loads(settings.read_bytes())["base_model_name_or_path"]
    _, info = load_with_head(base, **{key: value for key, value in options.items() if key != "revision"})
    weights = find_file(source, _ADAPTER_WEIGHTS, revision=revision)
    return sorted(set(info["missing_keys"]) - _saved_whole(weights))


def _saved_whole(weights: Path | None) -> set[str]:
    """Return which weights of the model the file of an adapter has, by the model's names."""
    if weights is None:  # an older file: what is in it, its loading will tell
        return set()
    with safe_open(weights, framework="pt") as file:
        return {_IN_ADAPTER.sub("", name) for name in file.keys()}  # noqa: SIM118  # it is no mapping


def _require_encoder(model: PreTrainedModel, missing: Sequence[str], unexpected: Sequence[str], name: str) -> None:
    drawn = {key for key, _ in model.named_parameters()}  # what else a checkpoint has, follows from its settings
    absent = [key for key in missing if key in drawn and _is_encoders(key, model)]
    if absent:
        has = f", found {_some(unexpected)}" if unexpected else ""
        raise ModelError(
            f"model {name!r} lacks {len(absent)} weights of its encoder ({model.config.model_type}), which would be "
            f"random: wanted {_some(absent)}{has}; its config.json and its weights do not belong together"
        )


def _tell_left_out(model: PreTrainedModel, unexpected: Sequence[str], name: str) -> None:
    """Log weights of layers that the model has not."""
    known = {_NUMBER.sub("0", key) for key, _ in model.named_parameters()}
    prefix = f"{model.base_model_prefix}."
    others = [key for key in unexpected if known & {_NUMBER.sub("0", key), prefix + _NUMBER.sub("0", key)}]
    if others:
        log.warning(
            "model %r: %d weights of layers that its config.json does not count are left out: %s",
            name,
            len(others),
            _some(others),
        )


def _some(names: Sequence[str]) -> str:
    rest = len(names) - _MESSAGE_NAMES
    return ", ".join(names[:_MESSAGE_NAMES]) + (f" and {rest} more" if rest > 0 else "")
