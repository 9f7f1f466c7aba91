"""Load a reader and check that its parts fit."""

import logging
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from qa.config import FeaturesConfig, Head, RecipeConfig, RunConfig, TrainingConfig
from qa.errors import ModelError, in_a_line
from qa.features.packing import Packing
from qa.features.windows import Encoder
from qa.modeling.attention import choose_attention
from qa.modeling.checkpoint import load_checkpoint
from qa.modeling.conditional_head import add_conditional_head, rank_of
from qa.modeling.layout import find_layout
from qa.modeling.lora import require_peft
from qa.modeling.packing import accept_packed
from qa.modeling.probe import Probe, ordinary_tokens
from qa.modeling.quirks import (
    choose_attention_by_length,
    choose_language,
    full_attention_up_to,
    keep_fixed_positions,
    longest_window,
    model_inputs,
    name_of,
)
from qa.modeling.settings import ReaderSettings, default_settings, find_settings, head_of
from qa.modeling.sources import LOADING_ERRORS, check_words, load_tokenizer, located
from qa.modeling.structure import configure_for_training

log = logging.getLogger(__name__)

_QUESTION = 6  # tokens of windows that the model is tried with


@dataclass(frozen=True, kw_only=True)
class Reader:
    """A model with its tokenizer, and how the model wants texts to be given."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    input_names: tuple[str, ...]
    encoder: Encoder
    """The tokenizer, ready to make features for the model."""
    settings: ReaderSettings | None
    """None for a model that was not saved by a run."""
    has_new_head: bool = False
    """Whether the checkpoint has no span head, so that it was drawn at random: to be trained, not to be used."""

    @classmethod
    def fitted(
        cls, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *, max_length: int, name: str
    ) -> "Reader":
        """Join a model, which is changed where its answers would depend on more than the window, and its tokenizer.

        Args:
            model: loaded; it is switched to inference.
            tokenizer: its own.
            max_length: longest window, in tokens, that it must take.
            name: what messages call the model.

        Raises:
            ModelError: they do not fit, or not what is asked; see `find_layout`.
            TokenizerError: a tokenizer that is not fast, or that drops one text of a pair.

        """
        check_words(tokenizer, name)
        encoder = Encoder.of(tokenizer)
        check_vocabulary(model, tokenizer, name)
        choose_language(model)
        choose_attention_by_length(model)
        keep_fixed_positions(model)
        input_names = model_inputs(model)
        probe = Probe(model=model.train(mode=False), input_names=input_names, name=name)
        template = find_layout(probe, tokenizer, encoder.template, max_length=max_length)
        if template.steady_up_to is None:
            template = replace(template, steady_up_to=full_attention_up_to(model))
        encoder = replace(encoder, template=template)
        return cls(model=model, tokenizer=tokenizer, input_names=input_names, encoder=encoder, settings=None)

    @property
    def usual_settings(self) -> ReaderSettings:
        """How it is used where nothing else is said: as it was saved, or by default in windows that it takes."""
        return self.settings or default_settings(self.tokenizer, longest_window(self.model))

    @property
    def name(self) -> str:
        """What messages call the model."""
        return name_of(self.model)

    def windows(self, *contexts: int) -> dict[str, torch.Tensor]:
        """Return windows with contexts of so many tokens, padded, as the model takes them, where the model is."""
        words = ordinary_tokens(self.tokenizer, _QUESTION + max(contexts))
        probe = Probe(model=self.model, input_names=self.input_names, name=self.name)
        made = [(words[:_QUESTION], words[_QUESTION:][:context]) for context in contexts]
        return probe.batch(self.encoder.template, made).to(self.model.device).inputs

    def prepare_head(self, head: Head) -> None:
        """Let the model have, and begin with, what a head needs, in place, before its weights are trained or loaded.

        Raises:
            ModelError: its class cannot have it, or it has a head of conditional ends and is to learn another.

        """
        is_conditional = rank_of(self.model) > 0
        if is_conditional and head != "conditional":
            raise ModelError(f"model {self.name!r} has the head conditional; wanted the same, found head {head}")
        if head == "conditional" and not is_conditional:
            add_conditional_head(self.model)
            words = ordinary_tokens(self.tokenizer, 2 * _QUESTION)
            probe = Probe(model=self.model, input_names=self.input_names, name=self.name)
            probe.logits(probe.batch(self.encoder.template, [(words[:_QUESTION], words[_QUESTION:])]))

    def accept_packed(self, packing: Packing, *, max_length: int) -> None:
        """Let the model take packed rows, in place, after its head is prepared; arguments are `packing`'s.

        Raises:
            ModelError: it does not take them, or features in them would see each other.

        """
        probe = Probe(model=self.model, input_names=self.input_names, name=self.name)
        accept_packed(probe, self.tokenizer, self.encoder.template, packing, max_length=max_length)

    def configure_for_training(self, config: TrainingConfig, recipe: RecipeConfig, device: torch.device) -> None:
        """Set dropout, freeze, and switch on what makes training fast or small, in place; see `structure`."""
        configure_for_training(self.model, config, recipe, device)


def load_reader(source: str, *, max_length: int | None = None, revision: str | None = None) -> Reader:
    """Load a model and its tokenizer from the hub, a folder, or embedded packages, with float32 weights.

    A head that the checkpoint does not have is drawn from torch's generator: seed it first.

    Args:
        source: hub id, folder, or the name of an embedded model, such as `minilm`.
        max_length: longest window, in tokens, that the model must take; None: the one of its settings.
        revision: branch, tag or commit of a hub model.

    Raises:
        ModelError: it does not load, lacks weights of its encoder, has no span head, or does not take the tokenizer's
            ids or windows of `max_length`.

    """
    path = located(source)
    settings = find_settings(path, revision=revision)
    tokenizer = load_tokenizer(source, revision=revision)
    try:
        # Not the checkpoint's own precision (the library's default): fp16 master weights lose small updates.
        # Two labels: the head of a checkpoint fine-tuned for three classes would have three logits per token.
        model, has_new_head = load_checkpoint(path, name=source, revision=revision, dtype=torch.float32, num_labels=2)
    except LOADING_ERRORS as error:
        raise ModelError(f"model {source!r} does not load: {in_a_line(error)}") from error
    usual = settings or default_settings(tokenizer, longest_window(model))
    reader = Reader.fitted(model, tokenizer, max_length=max_length or usual.max_length, name=source)
    return replace(reader, settings=settings, has_new_head=has_new_head)


def load_reader_for(config: RunConfig) -> Reader:
    """Load the reader that a run begins with, which may have learned spans where it is to learn another head.

    Raises:
        ModelError: as `load_reader`, or it cannot have the head, recompute activations, take packed rows, or compute
            attention as it is to.
        ConfigError: such attention is not for low-rank matrices.
        MissingPackageError: recipe or attention need one that is not installed.

    """
    require_peft(config.recipe)
    reader = load_reader(config.model, max_length=config.features.max_length, revision=config.model_revision)
    if config.training.gradient_checkpointing and not reader.model.supports_gradient_checkpointing:
        raise ModelError(
            f"model {reader.name!r} ({reader.model.config.model_type}) does not recompute activations; "
            "wanted no training.gradient-checkpointing"
        )
    _tell_stride(reader.encoder.template.special_tokens, config.features)
    choose_attention(reader.model, config.training.attention, lora=config.recipe.lora_rank > 0)
    reader.prepare_head(head_of(config, reader.settings))
    if (packing := Packing.of(config.training)) is not None:
        reader.accept_packed(packing, max_length=config.features.max_length)
    return reader


def _tell_stride(special_tokens: int, features: FeaturesConfig) -> None:
    """Log that no neighbouring windows can share what they should."""
    room = features.max_length - special_tokens
    if features.doc_stride >= room:
        log.warning(
            "features.doc-stride is %d, and windows hold %d tokens of question and context: neighbours share half of "
            "what a question leaves instead",
            features.doc_stride,
            room,
        )


def load_trained_reader(source: str, *, revision: str | None = None) -> Reader:
    """Load a reader that is to answer; arguments are those of `load_reader`.

    Raises:
        ModelError: as `load_reader`, or the checkpoint has no span head.

    """
    reader = load_reader(source, revision=revision)
    if reader.has_new_head:
        raise ModelError(f"model {source!r} has no span head: its answers would be random; fine-tune it")
    return reader


def check_vocabulary(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    """Check that the model knows all ids that the tokenizer can give.

    Raises:
        ModelError: it does not.

    """
    try:
        size = len(cast("nn.Embedding", model.get_input_embeddings()).weight)
    except NotImplementedError as error:
        raise ModelError(f"model {name!r} has no table of tokens; wanted a model of tokens") from error
    largest = len(tokenizer) - 1
    if largest >= size:
        raise ModelError(f"model {name!r} knows {size} tokens; its tokenizer has ids up to {largest}")
