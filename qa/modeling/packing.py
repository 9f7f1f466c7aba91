"""Rows that hold several features: masks by which each sees itself alone, and positions that begin anew in each."""

import inspect
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from qa.errors import ModelError
from qa.features.packing import Packing
from qa.features.pair_template import PairTemplate
from qa.modeling.probe import Probe, Window, differ, ordinary_tokens
from qa.modeling.quirks import first_position

_QUESTION, _CONTEXTS = 6, (11, 30, 3, 22)  # tokens that a model is asked with, beside the longest window
_SEEN = 1e-4  # share of the largest logit: above what other shapes of products round, below what other tokens do
_SLIDING = "sliding_attention"
_MASKED = ("sdpa", "eager")  # attention that takes a mask for every pair of tokens


def accept_packed(
    probe: Probe, tokenizer: PreTrainedTokenizerBase, template: PairTemplate, packing: Packing, *, max_length: int
) -> None:
    """Let a model take packed rows, in place: attention masks with a number for each feature, and 0 for padding.

    Whether it can is found by asking it. Rows of one feature have masks of this kind too, and are taken as before.

    Args:
        probe: the model, switched to inference.
        tokenizer: its own.
        template: how it wants texts to be joined.
        packing: the rows that it will get.
        max_length: longest feature, in tokens; a row holds it.

    Raises:
        ModelError: it does not take them, or features in them would have other logits than alone.

    """
    model = cast("PreTrainedModel", probe.model)
    kind = model.config._attn_implementation  # noqa: SLF001  # the library has no public name for it
    if kind not in _MASKED:
        raise ModelError(f"training.packed-length needs attention by {' or '.join(_MASKED)}; found {kind}")
    windows = _windows(tokenizer, max_length - template.special_tokens)
    wanted = [_of_context(probe, template, [window])[0] for window in windows]
    for is_causal in (False, True):
        apart = _Apart.of(model.base_model, is_causal=is_causal)
        with ExitStack() as undo:
            undo.callback(model.base_model.register_forward_pre_hook(apart, with_kwargs=True).remove)
            try:
                found = _of_context(probe, template, windows, packing=packing)
            except ModelError as error:
                raise ModelError(f"wanted no training.packed-length: with a mask of pairs {error}") from error
            if not any(differ(one, other, among=other, by=_SEEN) for one, other in zip(found, wanted, strict=True)):
                undo.pop_all()  # it stays
                return
    raise ModelError(
        f"model {probe.name!r} has other logits for features that share a row than for each alone; "
        "wanted no training.packed-length"
    )


def _windows(tokenizer: PreTrainedTokenizerBase, room: int) -> list[Window]:
    """Return the longest window and short ones; a model may see a stretch of long ones only."""
    question = min(_QUESTION, room - 1)
    sizes = [room - question, *(min(size, room - question) for size in _CONTEXTS)]
    words = ordinary_tokens(tokenizer, room + len(sizes))
    return [(words[at:][:question], words[at + question :][:size]) for at, size in enumerate(sizes)]


def _of_context(
    probe: Probe, template: PairTemplate, windows: Sequence[Window], *, packing: Packing | None = None
) -> list[Float[Tensor, "position 2"]]:
    """Return the logits that answers are made of, for each window."""
    batch = probe.batch(template, windows, packing=packing)
    return [
        torch.cat([logits[inside], logits[null].unsqueeze(0)])
        for logits, inside, null in zip(probe.logits(batch), batch.in_context, batch.null_position, strict=True)
    ]


@dataclass(frozen=True, kw_only=True)
class _Apart:
    """Called before an encoder: replaces the numbers of an attention mask by what keeps features apart.

    Nothing here waits for the device. Shapes are told in words, since the compiler traces it, and shape checks too.
    """

    is_causal: bool
    """Whether tokens see nothing that comes after them."""
    first_position: int | None
    """The position of a text's first token; None: the encoder takes no positions."""

    @classmethod
    def of(cls, encoder: nn.Module, *, is_causal: bool) -> "_Apart":
        """Look at what an encoder takes."""
        takes_positions = "position_ids" in inspect.signature(encoder.forward).parameters
        return cls(is_causal=is_causal, first_position=first_position(encoder) if takes_positions else None)

    def __call__(
        self, encoder: nn.Module, args: tuple[Any, ...], inputs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the encoder's arguments with other masks and positions."""
        number = inputs["attention_mask"]
        seen = number.unsqueeze(2) == number.unsqueeze(1)
        if self.is_causal:
            seen = seen.tril()
        changed: dict[str, Any] = {"attention_mask": self._masks(encoder, seen)}
        if self.first_position is not None:
            changed["position_ids"] = _positions(number) + self.first_position
        return args, inputs | changed

    def _masks(self, encoder: nn.Module, seen: Tensor) -> Tensor | dict[str, Tensor]:
        """Return a mask for all layers; by kind of layer where some see a stretch of the row only, as ModernBERT's.

        `seen` says of pairs of tokens, `[row, token, token]`, whether the first sees the second.
        """
        config: Any = encoder.config
        if _SLIDING not in (getattr(config, "layer_types", None) or ()):
            return _for_kernel(encoder, seen)
        place = torch.arange(seen.shape[1], device=seen.device)
        farthest = config.sliding_window - 1 if self.is_causal else config.sliding_window  # as the library counts them
        near = (place.unsqueeze(1) - place).abs() <= farthest
        return {"full_attention": _for_kernel(encoder, seen), _SLIDING: _for_kernel(encoder, seen & near)}


def _for_kernel(encoder: nn.Module, seen: Tensor) -> Tensor:
    """Return a mask `[row, 1, token, token]` as attention takes it: eager attention adds it to scores."""
    config: Any = encoder.config
    mask = seen.unsqueeze(1)
    if config._attn_implementation != "eager":  # noqa: SLF001  # as above
        return mask
    dtype = next(encoder.parameters()).dtype
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(~mask, torch.finfo(dtype).min)


def _positions(number: Tensor) -> Tensor:
    """Count the tokens of every feature from 0 on; `[row, token]`, as their numbers are.

    Padding is at 0: there may be more of it than a model has positions.
    """
    place = torch.arange(number.shape[1], device=number.device).expand_as(number)
    continues = torch.zeros_like(number, dtype=torch.bool)
    continues[:, 1:] = number[:, 1:] == number[:, :-1]
    return (place - place.masked_fill(continues, 0).cummax(dim=1).values).masked_fill(number == 0, 0)
