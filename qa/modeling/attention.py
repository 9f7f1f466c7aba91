"""Attention masks made without asking the device whether there is padding."""

from typing import Any

from torch import Tensor
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask


def mask_without_asking() -> None:
    """Let the library always make a mask for PyTorch's attention; for the whole process.

    By itself it first looks whether any token is padding, to make none if not: the host waits for the device in every
    forward pass, to save what in batches of several lengths can hardly ever be saved.
    """
    AttentionMaskInterface.register("sdpa", _always_masked)


def _always_masked(*args: Any, **options: Any) -> Tensor | None:  # noqa: ANN401  # the library's own signature
    mask: Tensor | None = sdpa_mask(*args, **options | {"allow_is_bidirectional_skip": False})
    return mask
