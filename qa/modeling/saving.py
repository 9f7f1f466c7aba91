"""A reader -> a folder that `from_pretrained` loads."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from safetensors import SafetensorError
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from qa.errors import StorageError
from qa.files import whole_folder
from qa.modeling.lora import ADAPTER, alpha_of, has_lora, merged_weights, plain_twin, save_adapter
from qa.modeling.reader import Reader
from qa.modeling.settings import ReaderSettings, save_settings


def save_reader(
    folder: Path,
    model: PreTrainedModel,
    weights: Mapping[str, Any],
    tokenizer: PreTrainedTokenizerBase,
    settings: ReaderSettings,
) -> None:
    """Save weights, tokenizer and settings, whole or not at all; low-rank matrices added to the weights, and apart.

    Args:
        folder: replaced where it exists.
        model: whose class and configuration are saved.
        weights: its state by name, on the CPU.
        tokenizer: the model's.
        settings: how the reader is to be used.

    Raises:
        StorageError: it cannot be written; an earlier model in `folder` is untouched.

    """
    try:
        with whole_folder(folder) as part:
            _save_model(part, model, weights)
            tokenizer.save_pretrained(part)
            save_settings(settings, part)
    except (OSError, SafetensorError) as error:  # which of the two a full disk raises depends on the file
        raise StorageError(f"cannot write the model to {folder}: {error}") from error


def _save_model(folder: Path, model: PreTrainedModel, weights: Mapping[str, Any]) -> None:
    if not has_lora(weights):
        model.save_pretrained(folder, state_dict=dict(weights))
        return
    plain_twin(model).save_pretrained(folder, state_dict=merged_weights(weights, alpha=alpha_of(model)))
    save_adapter(model, weights, folder / ADAPTER)


def save_whole(reader: Reader, folder: Path) -> None:
    """Save a reader as it is, without a head that was drawn at random: that is drawn again where it is loaded.

    Raises:
        StorageError: it cannot be written.

    """
    model = cast("PreTrainedModel", reader.model.base_model) if reader.has_new_head else reader.model
    try:
        with whole_folder(folder) as part:
            model.save_pretrained(part)
            reader.tokenizer.save_pretrained(part)
            if reader.settings is not None:
                save_settings(reader.settings, part)
    except (OSError, SafetensorError) as error:
        raise StorageError(f"cannot write the model to {folder}: {error}") from error


def save_surroundings(reader: Reader, folder: Path) -> None:
    """Save what it takes to answer besides the weights: configuration, tokenizer and settings."""
    folder.mkdir(parents=True, exist_ok=True)
    reader.model.config.save_pretrained(folder)
    reader.tokenizer.save_pretrained(folder)
    if reader.settings is not None:
        save_settings(reader.settings, folder)
