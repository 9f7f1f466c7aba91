"""How a model computes attention in an ONNX file."""

import contextlib
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import eager_mask

PLAIN = "eager"
"""Matrix products and a softmax, which every runtime takes.

torch's fused attention would become the same and checks for rows without any token: in 8 bits 1.4 times the time.
"""
FUSED = "onnxruntime_fused"
"""onnxruntime's operator for all of it; `PLAIN` where a model's attention is more than the operator can say."""

_WITHOUT_EFFECT = {"deterministic", "is_causal", "output_attentions", "position_ids", "sliding_window", "use_cache"}
"""Options that the mask says already, or that change nothing in inference."""


@contextlib.contextmanager
def attention_by(model: PreTrainedModel, name: str) -> Iterator[None]:
    """Let a model compute attention by `PLAIN` or `FUSED`; one whose class has no choice keeps its own."""
    before = model.config._attn_implementation  # noqa: SLF001  # the library has no public name for it
    model.set_attn_implementation(name)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def _fused(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **options: Any,  # noqa: ANN401  # as above
) -> tuple[Tensor, Tensor | None]:
    """Return what is attended, [batch, token, head, size], and no weights.

    The file has both ways and takes the operator where nothing is masked, as in a window by itself: without a mask it
    never holds the weights of all pairs of tokens; with one it is slower than products and a softmax.

    Args:
        module: that attends.
        query: [batch, head, token, size].
        key: like the query, but that several of its heads may share one.
        value: like the key.
        attention_mask: to be added to the products, [batch, 1, token or 1, token].
        scaling: of the products; None: the root of the size.
        dropout: none in inference.
        options: what else models give.

    """
    _, heads, tokens, size = query.shape
    unsaid = any(one is not None for name, one in options.items() if name not in _WITHOUT_EFFECT)
    if unsaid or not query.shape[1::2] == key.shape[1::2] == value.shape[1::2]:
        own = sys.modules[type(module).__module__].eager_attention_forward
        found: tuple[Tensor, Tensor | None] = own(
            module, query, key, value, attention_mask, scaling=scaling, dropout=dropout, **options
        )
        return found
    inputs = tuple(one.transpose(1, 2).flatten(2).contiguous() for one in (query, key, value))  # as branches want
    settings: dict[str, Any] = {"heads": heads, "scale": size**-0.5 if scaling is None else float(scaling)}
    if attention_mask is None:
        attended = _by_one_operator(*inputs, **settings)
    else:
        is_empty, masked = (attention_mask == 0).all(), partial(_by_products, **settings)
        unmasked = lambda q, k, v, _: _by_one_operator(q, k, v, **settings)  # noqa: E731
        attended = torch.cond(is_empty, unmasked, masked, (*inputs, attention_mask.expand(-1, -1, tokens, -1)))
    return attended.unflatten(-1, (heads, size)), None


@torch.compiler.allow_in_graph  # type: ignore[untyped-decorator]  # the library has no type for it
def _by_one_operator(query: Tensor, key: Tensor, value: Tensor, *, heads: int, scale: float) -> Tensor:
    """Attend; inputs and output are [batch, token, head * size]."""
    attended: Tensor = torch.onnx.ops.symbolic(
        "com.microsoft::MultiHeadAttention",
        [query, key, value],
        attrs={"num_heads": heads, "scale": scale},
        dtype=query.dtype,
        shape=query.shape,
        version=1,
    )
    return attended


def _by_products(query: Tensor, key: Tensor, value: Tensor, mask: Tensor, *, heads: int, scale: float) -> Tensor:
    """Attend as `_by_one_operator`, which copies a mask for each head, and gets it wrong on some devices."""
    q, k, v = (torch.unflatten(one, -1, (heads, -1)).transpose(1, 2) for one in (query, key, value))
    weights = (q @ k.mT * scale + mask).softmax(-1)
    return torch.flatten((weights @ v).transpose(1, 2), 2)


AttentionInterface.register(FUSED, _fused)
AttentionMaskInterface.register(FUSED, eager_mask)
