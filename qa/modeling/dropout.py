"""Dropout that is cheap on a CPU: the same statistics as torch's, a third of a training step less.

torch draws a Bernoulli variable an element, one after the other, and with dropout its attention leaves the fused kernel
for one of many passes over `[head, token, token]` in memory. Here sixteen random bits decide on an element, and
attention works on a few examples at a time, which stay in the processor's caches. Bits follow from torch's default
generator, so that a restored generator draws the same masks. In half precision attention's own arithmetic is float32.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int16
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

ATTENTION = "sdpa_cheap_dropout"
"""Name of the attention function under which the model library finds it."""
_BITS = 16
_LEVELS = 1 << _BITS
_PER_WORD = 64 // _BITS
_WORDS = 1 << 64
CACHED_WEIGHTS = 1 << 20  # of attention, handled together: some megabytes, which a processor's caches hold


def use_cheap_dropout(model: PreTrainedModel, *, attention: bool = True) -> None:
    """Replace a model's dropout modules and, where it uses torch's fused attention, its attention function, in place.

    Parameters and their names stay as they are, and so does everything without dropout: evaluation is not touched.

    Args:
        model: that is trained.
        attention: whether its attention function may be another.

    """
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is nn.Dropout and child.p < 1:
                setattr(module, name, CheapDropout(child.p).train(mode=child.training))
    if attention and model.config._attn_implementation == "sdpa":  # noqa: SLF001  # the library has no public name for it
        model.set_attn_implementation(ATTENTION)


class CheapDropout(nn.Dropout):
    """`nn.Dropout` whose drop probability is the nearest multiple of 2⁻¹⁶, and whose scale fits that one exactly."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # the name in torch
        """Drop elements while training; otherwise return the input itself."""
        dropped = _dropped_levels(float(self.p))
        if not self.training or dropped == 0:
            return input
        return input * _scaled_mask(input, dropped)


def _dropped_levels(probability: float) -> int:
    """Return how many of the values of `_BITS` bits mean "drop"."""
    return min(round(probability * _LEVELS), _LEVELS - 1)


def _scale(dropped: int) -> float:
    """Return what the kept elements are multiplied by, so that the mean stays."""
    return _LEVELS / (_LEVELS - dropped)


def random_bits(count: int) -> Int16[Tensor, "{count}"]:
    """Draw from a generator of NumPy's that torch's default generator seeds: it takes half the time."""
    seed = int(torch.empty((), dtype=torch.int64).random_())
    words = np.random.Generator(np.random.SFC64(seed)).integers(_WORDS, size=-(-count // _PER_WORD), dtype=np.uint64)
    return torch.from_numpy(words.view(np.int16))[:count]


def _scaled_mask(like: Tensor, dropped: int) -> Tensor:
    """Return the scale where an element is kept and 0 where it is dropped."""
    kept = torch.empty(like.numel(), dtype=like.dtype)
    torch.ge(random_bits(like.numel()), dropped - _LEVELS // 2, out=kept)  # a third of the time of bool and a cast
    return kept.view(like.shape).mul_(_scale(dropped))


def attention(  # the library's signature
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **others: Any,  # noqa: ANN401  # what else the library's own function takes
) -> tuple[Tensor, None]:
    """Attend as the library's sdpa function does; with dropout by `DroppedAttention`.

    Args:
        module: the layer that asks.
        query: `[example, head, token, size]`.
        key: as `query`.
        value: as `query`.
        attention_mask: bool, which keys each query sees, `[example, 1, token, token]`; None: all.
        dropout: probability to drop an attention weight.
        scaling: of the scores; None: by the root of the size.
        others: of the library; with anything in them but flags its own function is called.

    """
    dropped = _dropped_levels(dropout)
    if dropped == 0 or not _is_plain(module, (query, key, value), attention_mask, others):
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **others
        )
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    bias = mask_bias(attention_mask) if attention_mask is not None else None
    with torch.autocast("cpu", enabled=False):
        output: Tensor = DroppedAttention.apply(  # type: ignore[no-untyped-call]
            query.float(), key.float(), value.float(), bias, scaling, dropped
        )
    return output.to(query.dtype).transpose(1, 2).contiguous(), None


def _is_plain(
    module: nn.Module, inputs: tuple[Tensor, Tensor, Tensor], mask: Tensor | None, others: dict[str, Any]
) -> bool:
    """Return whether this is attention among all tokens of a text, on a CPU, and float32 is precise enough."""
    alike = len({part.shape for part in inputs}) == 1
    precise = all(part.dtype != torch.float64 and part.device.type == "cpu" for part in inputs)
    maskable = mask.dtype == torch.bool if mask is not None else not getattr(module, "is_causal", True)
    return alike and precise and maskable and not any(isinstance(extra, Tensor) for extra in others.values())


def mask_bias(mask: Bool[Tensor, "example 1 token token"]) -> Float[Tensor, "example 1 rows token"]:
    """Return what is added to scores; one row for all queries of an example where all see the same keys."""
    rows = mask[:, :, :1] if mask.stride(2) == 0 else mask
    lowest = torch.finfo(torch.float32).min  # not −inf: a query that sees no key must not give NaN
    return torch.zeros(rows.shape).masked_fill_(~rows, lowest)


class DroppedAttention(torch.autograd.Function):
    """softmax(scaling · query · keyᵀ + bias), dropped out, times value.

    Weights are saved once, with a negative sign where they are dropped: their absolute value is the softmax, their
    positive part the mask applied to it. The gradient is FlashAttention's (Dao et al., 2022, appendix B.2).
    """

    @staticmethod
    def forward(  # apply takes no keywords
        ctx: FunctionCtx, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, scaling: float, dropped: int
    ) -> Tensor:
        """Attend; arguments are those of `attention`, with `bias` added to scores and the levels that are dropped."""
        query, key, value = query.contiguous(), key.contiguous(), value.contiguous()
        weights = query.new_empty(*query.shape[:3], key.shape[2])
        output = torch.empty_like(query)
        for part in _parts(weights):
            signed = weights[part]
            _multiply(query[part], key[part].mT, scaling, out=signed)
            if bias is not None:
                signed.add_(bias[part])
            torch.softmax(signed, dim=-1, out=signed)
            noise = random_bits(signed.numel()).to(signed.dtype).view(signed.shape)
            signed.copysign_(noise.sub_(dropped - _LEVELS // 2))
            kept = torch.clamp_min(signed, 0.0, out=noise)
            _multiply(kept, value[part], _scale(dropped), out=output[part])
        ctx.save_for_backward(query, key, value, weights, output)
        ctx.scaling, ctx.scale = scaling, _scale(dropped)  # type: ignore[attr-defined]  # the documented place for such
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401  # as above
        """Return the gradients of query, key and value."""
        query, key, value, weights, output = ctx.saved_tensors
        of_query, of_key, of_value = (torch.empty_like(query) for _ in range(3))
        mean = (gradient * output).sum(dim=-1, keepdim=True)
        gradient = gradient.contiguous()
        for part in _parts(weights):
            signed, wanted = weights[part], gradient[part]
            kept = signed.clamp_min(0.0)
            _multiply(kept.mT, wanted, ctx.scale, out=of_value[part])
            of_scores = torch.empty_like(kept)
            _multiply(wanted, value[part].mT, ctx.scale, out=of_scores)
            of_scores.mul_(kept).addcmul_(torch.abs(signed, out=kept), mean[part], value=-1)
            _multiply(of_scores, key[part], ctx.scaling, out=of_query[part])
            _multiply(of_scores.mT, query[part], ctx.scaling, out=of_key[part])
        return of_query, of_key, of_value, None, None, None


def _parts(weights: Float[Tensor, "example head token token"]) -> Iterator[slice]:
    """Cut examples into parts whose weights fit a cache, with one example at least."""
    examples = max(1, CACHED_WEIGHTS // max(1, weights[0].numel()))
    return (slice(begin, begin + examples) for begin in range(0, len(weights), examples))


def _multiply(
    left: Float[Tensor, "example head row inner"],
    right: Float[Tensor, "example head inner column"],
    factor: float,
    *,
    out: Float[Tensor, "example head row column"],
) -> None:
    flat = out.view(-1, *out.shape[2:])  # not flatten, which may copy
    torch.baddbmm(flat, left.flatten(0, 1), right.flatten(0, 1), beta=0, alpha=factor, out=flat)


AttentionInterface.register(ATTENTION, attention)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)
