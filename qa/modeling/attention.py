"""How a model computes attention; masks made without asking the device whether there is padding."""

from typing import Any

from torch import Tensor
from transformers import PreTrainedModel
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from qa.errors import ModelError, in_a_line
from qa.modeling.disentangled import DISENTANGLED, require_disentangled

AUTO = "auto"
"""The word for what the model's class prefers."""


def choose_attention(model: PreTrainedModel, name: str, *, lora: bool = False) -> None:
    """Let a model compute attention by an implementation that the library knows, in place; `auto` changes nothing.

    `disentangled-flash`, which is no part of it, is only checked: see `use_disentangled`.

    Args:
        model: as it was loaded.
        name: the implementation.
        lora: whether low-rank matrices will stand beside the model's weights.

    Raises:
        ModelError: it is not known, not installed, or not for this model.
        ConfigError: it is not for low-rank matrices.
        MissingPackageError: its package is not installed.

    """
    if name == AUTO:
        return
    if name == DISENTANGLED:
        require_disentangled(model, lora=lora)
        return
    try:
        model.set_attn_implementation(name)
    except Exception as error:  # the library raises anything, a kernel's package too
        raise ModelError(
            f"training.attention is {name!r}, which {type(model).__name__} does not take: {in_a_line(error)}"
        ) from error
    found = model.config._attn_implementation  # noqa: SLF001  # the library has no public name for it
    if found != name:
        raise ModelError(f"training.attention is {name!r}, but {type(model).__name__} computes by {found!r}")


def mask_without_asking() -> None:
    """Let the library always make a mask for PyTorch's attention; for the whole process.

    By itself it first looks whether any token is padding, to make none if not: the host waits for the device in every
    forward pass, to save what in batches of several lengths can hardly ever be saved.
    """
    AttentionMaskInterface.register("sdpa", _always_masked)


def _always_masked(*args: Any, **options: Any) -> Tensor | None:  # noqa: ANN401  # the library's own signature
    mask: Tensor | None = sdpa_mask(*args, **options | {"allow_is_bidirectional_skip": False})
    return mask
