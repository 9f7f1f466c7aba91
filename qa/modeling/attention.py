"""How a model computes attention; masks made without asking the device whether there is padding."""

from typing import Any

from torch import Tensor
from transformers import PreTrainedModel
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from qa.errors import ModelError, in_a_line

AUTO = "auto"
"""The word for what the model's class prefers."""


def choose_attention(model: PreTrainedModel, name: str) -> None:
    """Let a model compute attention by an implementation that the library knows, in place; `auto` changes nothing.

    Raises:
        ModelError: it is not known, not installed, or not for this model.

    """
    if name == AUTO:
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
