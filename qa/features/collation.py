"""Features -> padded or packed tensors."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int
from torch import Tensor

from qa.features.joining import PAD_MULTIPLE, join
from qa.features.labels import Labels
from qa.features.packing import Packing, pack
from qa.features.windows import Features

COMPILED_PAD_MULTIPLE = 64
"""What padded lengths are multiples of when compiling: few shapes, since each is compiled for itself."""
_ALIGNMENT = 16  # bytes: what kernels read at once


@dataclass(frozen=True, eq=False, kw_only=True)
class Batch:
    """Features as tensors.

    `inputs` are what the model's `forward` takes, `[feature, token]`, or `[row, token]` where features are packed into
    rows; all else is by feature (see `by_feature`). Labels count tokens of the padded row; of several any is right, and
    the null position is the only one where the window holds no reference. They are None in batches that nothing is
    learned from, or of which each token is learned by its tag (see `qa.features.tags`).
    """

    inputs: dict[str, Tensor]
    feature: Int[Tensor, "feature"]
    in_context: Bool[Tensor, "feature token"]
    context_begin: Int[Tensor, "feature"]
    null_position: Int[Tensor, "feature"]
    tokens: int
    """Tokens that are not padding."""
    place: Int[Tensor, "feature token"] | None = None
    """Where each token is among all tokens of packed rows, below 0 for padding; None where rows are not packed."""
    label_first: Int[Tensor, "feature label"] | None = None
    label_last: Int[Tensor, "feature label"] | None = None
    tags: Int[Tensor, "feature token"] | None = None
    teacher_start: Float32[Tensor, "feature token"] | None = None
    """Probabilities that teachers give; None without teachers."""
    teacher_end: Float32[Tensor, "feature token"] | None = None

    def __len__(self) -> int:
        return len(self.feature)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and tokens that the model works on, padding included."""
        rows, tokens = self.inputs["input_ids"].shape
        return rows, tokens

    @property
    def padding(self) -> Bool[Tensor, "feature token"] | None:
        """Which tokens are padding; None where the inputs do not tell."""
        if self.place is not None:
            return self.place < 0
        mask = self.inputs.get("attention_mask")
        return None if mask is None else mask == 0

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on `device`, sent in one piece: every copy costs as much as a small kernel."""
        if device.type == "cpu":
            return self
        sent = iter(_sent(self.tensors(), device))
        inputs = {name: next(sent) for name in self.inputs}
        columns: dict[str, Any] = dict(zip(self._columns(), sent, strict=True))
        return replace(self, inputs=inputs, **columns)

    def tensors(self) -> list[Tensor]:
        """List what the batch is made of, the inputs first."""
        return [*self.inputs.values(), *self._columns().values()]

    def _columns(self) -> dict[str, Tensor]:
        """Return the tensors beside the inputs."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}


def _sent(tensors: Sequence[Tensor], device: torch.device) -> list[Tensor]:
    """Copy tensors to a device in one piece; from pinned memory, which CUDA copies without waiting."""
    places, end = [], 0
    for tensor in tensors:
        places.append(slice(end, end + tensor.nbytes))
        end += -(-tensor.nbytes // _ALIGNMENT) * _ALIGNMENT
    whole = torch.empty(end, dtype=torch.uint8, pin_memory=device.type == "cuda")
    for place, tensor in zip(places, tensors, strict=True):
        whole[place].copy_(tensor.contiguous().view(-1).view(torch.uint8))
    there = whole.to(device, non_blocking=device.type == "cuda")
    return [there[place].view(tensor.dtype).view(tensor.shape) for place, tensor in zip(places, tensors, strict=True)]


def collate(
    features: Features,
    indices: Int[np.ndarray, "feature"],
    *,
    input_names: Sequence[str],
    pad_multiple: int,
    labels: Labels | None = None,
    packing: Packing | None = None,
) -> Batch:
    """Join question, context window and special tokens of `indices` into padded tensors, or into packed ones.

    Arguments but `packing` are `join`'s.
    """
    rows = join(features, indices, input_names=input_names, pad_multiple=pad_multiple, labels=labels)
    if packing is not None:
        rows = pack(rows, packing, features.template)
    columns = {name: torch.from_numpy(value) for name, value in vars(rows).items() if isinstance(value, np.ndarray)}
    inputs = {name: torch.from_numpy(value) for name, value in rows.inputs.items()}
    return Batch(inputs=inputs, tokens=rows.tokens, **columns)


def padding_multiple(*, compiled: bool) -> int:
    """Return what padded lengths are to be multiples of for a model that is compiled, or is not."""
    return COMPILED_PAD_MULTIPLE if compiled else PAD_MULTIPLE
