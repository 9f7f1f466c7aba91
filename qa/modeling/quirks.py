"""What some architectures need to be asked, and answered for, like the others."""

import inspect
import threading
from collections.abc import Iterator, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from qa.errors import ModelError

_BEYOND_TEXT = ("bbox", "image", "pixel_values", "visual_feats", "xpath_tags_seq", "input_shape_ids")
"""Inputs of models that read pages, pictures, markup or the shapes of characters."""
_TYPES = (".token_type_embeddings.weight", ".seg_embed")


def model_inputs(model: PreTrainedModel) -> tuple[str, ...]:
    """Return which of `qa.features.joining.INPUTS` the model is to get; heads swallow others without a word.

    Token types go in where the model has more than one type of its own, whatever the tokenizer's class lists: since
    version 5 transformers' classes leave them out that checkpoints were trained with. Models that only add the
    embedding of the word with the type's number, as GPT-2 and XLM do, were not.

    Raises:
        ModelError: the model takes no attention mask, or reads more than text.

    """
    named, name = inspect.signature(model.forward).parameters, name_of(model)
    if "attention_mask" not in named:
        raise ModelError(f"model {name!r} takes no attention mask; wanted answers that do not depend on padding")
    beyond = [one for one in _BEYOND_TEXT if one in named]
    if beyond:
        raise ModelError(f"model {name!r} reads {', '.join(beyond)} besides text; wanted a model of text alone")
    wanted = {"input_ids", "attention_mask", "global_attention_mask"}
    if any(key.endswith(_TYPES) and len(weight) > 1 for key, weight in model.named_parameters()):
        wanted.add("token_type_ids")
    order = ("input_ids", "attention_mask", "token_type_ids", "global_attention_mask")
    return tuple(one for one in order if one in wanted and one in named)


def choose_language(model: PreTrainedModel) -> None:
    """Let a model with adapters of languages (X-MOD) use its only one, in place.

    Raises:
        ModelError: it has several, and its configuration does not say which.

    """
    if not hasattr(model, "set_default_language") or model.config.default_language is not None:
        return
    languages = list(model.config.languages)
    if len(languages) != 1:
        raise ModelError(
            f"model {name_of(model)!r} has adapters for {', '.join(languages)}; "
            "wanted one of them as default_language in its config.json"
        )
    cast("Any", model).set_default_language(languages[0])


def longest_window(model: PreTrainedModel) -> int | None:
    """Return the longest window that the model has positions for, in tokens; None: its configuration does not say.

    RoBERTa and its like count positions from the one after that of padding, so that 514 are for 512 tokens.
    """
    config = model.config
    names = ("max_position_embeddings", "max_encoder_position_embeddings", "max_decoder_position_embeddings")
    stated = (getattr(config, name, None) for name in names)
    shifted = (len(table.weight) - first for table, first in _shifted_tables(model))  # I-BERT's have no num_embeddings
    return min([limit for limit in (*stated, *shifted) if limit is not None and limit > 0], default=None)


def first_position(model: nn.Module) -> int:
    """Return the position of a text's first token; see `longest_window`."""
    return max((first for _, first in _shifted_tables(model)), default=0)


def _shifted_tables(model: nn.Module) -> Iterator[tuple[Any, int]]:
    """Yield the tables of positions that have one for padding, and the first position after it."""
    for name, module in model.named_modules():
        padding: Any = getattr(module, "padding_idx", None)
        if name.endswith("position_embeddings") and padding is not None:
            yield module, padding + 1


# --- positions that are not learned -------------------------------------------------------------------------------


def keep_fixed_positions(model: PreTrainedModel) -> None:
    """Let tables of sines that a class means to be fixed (RoFormer's) stay as they are in training, in place.

    The library freezes them where it makes them and thaws them where it loads them; since 5.24 they get a gradient.
    They keep their place among the parameters, so that runs go on from checkpoints of earlier versions.
    """
    for module in model.modules():
        if type(module).__name__.endswith("SinusoidalPositionalEmbedding"):
            module.register_forward_hook(_without_gradient)


def _without_gradient(_module: nn.Module, _inputs: tuple[Any, ...], found: Tensor) -> Tensor:
    return found.detach()


# --- attention that depends on length -----------------------------------------------------------------------------


def choose_attention_by_length(model: PreTrainedModel) -> None:
    """Let block-sparse attention (BigBird) depend on the batch alone, in place.

    The library's own code switches to full attention at the first batch that is too short for blocks, and stays there,
    so that an answer depends on what was asked before.
    """
    for module in _sparse(model):
        attention = _AttentionByLength(module)
        module.register_forward_pre_hook(attention, with_kwargs=True)
        module.register_forward_hook(attention.leave, always_call=True)


def full_attention_up_to(model: PreTrainedModel) -> int | None:
    """Return the longest window that has full attention, in tokens; None: all have what the model has."""
    return min(map(_full_up_to, _sparse(model)), default=None)


def _sparse(model: PreTrainedModel) -> list[nn.Module]:
    encoders = (module for module in model.modules() if hasattr(module, "create_masks_for_block_sparse_attn"))
    return [encoder for encoder in encoders if cast("Any", encoder).config.attention_type == "block_sparse"]


def _full_up_to(module: nn.Module) -> int:
    config: Any = module.config
    return int((5 + 2 * config.num_random_blocks) * config.block_size)  # what the library's own code compares with


class _Turn:
    """A lock of threads that a copy has anew."""

    def __init__(self) -> None:
        lock = threading.RLock()
        self.take, self.leave = lock.acquire, lock.release

    def __reduce__(self) -> tuple[type["_Turn"], tuple[()]]:
        return _Turn, ()


class _AttentionByLength:
    """Called before an encoder with each batch; keeps both kinds of attention of every layer, with the same weights.

    Until the encoder is done with the batch, other threads wait.
    """

    def __init__(self, encoder: nn.Module) -> None:
        self.full_up_to, self.turn = _full_up_to(encoder), _Turn()
        self.states: list[Any] = [module for module in encoder.modules() if hasattr(module, "attention_type")]
        self.holders: list[Any] = [module for module in encoder.modules() if hasattr(module, "self")]
        self.sparse = [holder.self for holder in self.holders]
        with torch.random.fork_rng(devices=[]):  # new modules draw weights, which are replaced
            encoder.set_attention_type("original_full")  # type: ignore[operator]
        self.full = [holder.self for holder in self.holders]

    def __call__(self, encoder: nn.Module, args: tuple[Any, ...], inputs: Mapping[str, Any]) -> None:
        """Switch to the kind of attention that batches of this length have."""
        self.turn.take()
        tokens = inputs.get("input_ids", args[0] if args else None)
        length = (inputs["inputs_embeds"] if tokens is None else tokens).shape[1]
        is_short = length <= self.full_up_to
        for module in self.states:
            module.attention_type = "original_full" if is_short else "block_sparse"
        for holder, attention in zip(self.holders, self.full if is_short else self.sparse, strict=True):
            holder.self = attention.train(encoder.training)

    def leave(self, *_: object) -> None:
        """Let another thread's batch in."""
        self.turn.leave()


def name_of(model: PreTrainedModel) -> str:
    """Return what messages call a model: where it is from, or its class."""
    return str(model.name_or_path or type(model).__name__)
