"""Span logits and labels -> loss."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cross_entropy

from qa.features.collation import Batch


def span_loss(
    start_logits: Float[Tensor, "feature token"], end_logits: Float[Tensor, "feature token"], batch: Batch
) -> Float[Tensor, ""]:
    """Return the sum over features of the mean cross entropy of start and end, in float32 (Devlin et al., 2019).

    Padding takes no part in the softmax, so that a feature's loss does not depend on the batch it is in.
    """
    assert batch.label_first is not None, "batches to learn from have labels"
    assert batch.label_last is not None, "as above"
    padding = batch.inputs["attention_mask"] == 0
    start, end = (logits.float().masked_fill(padding, -torch.inf) for logits in (start_logits, end_logits))
    return (
        cross_entropy(start, batch.label_first, reduction="sum") + cross_entropy(end, batch.label_last, reduction="sum")
    ) / 2
