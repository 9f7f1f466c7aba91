"""A model -> a hash of its weights, and its settings as plain values."""

import hashlib
import json
from typing import Any

import torch
from transformers import PreTrainedModel

_OF_THE_PLACE = (
    "_name_or_path",
    "transformers_version",
    "dtype",
    "torch_dtype",
    "architectures",
    "_attn_implementation",
)
"""Settings that say where a model was loaded from and by what, not what it is."""


def weights_fingerprint(model: PreTrainedModel) -> str:
    """Return a hash of the names, shapes and bytes of all weights; of a model as it was loaded, on the CPU."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def model_settings(model: PreTrainedModel) -> dict[str, Any]:
    """Return the model's configuration, dropout included, without what says only where it comes from."""
    values: dict[str, Any] = json.loads(model.config.to_json_string(use_diff=False))
    return {name: value for name, value in values.items() if name not in _OF_THE_PLACE}
