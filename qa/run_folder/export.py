"""A checkpoint -> a folder that `from_pretrained` loads."""

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from torch import Tensor

from qa.config import RunConfig
from qa.errors import CheckpointError, StorageError
from qa.files import check_manifest
from qa.modeling.lora import has_lora, merged_weights
from qa.modeling.reader import load_reader
from qa.modeling.saving import save_reader
from qa.modeling.settings import ReaderSettings, settings_of
from qa.presets import load_config
from qa.run_folder.checkpoints import STATE
from qa.run_folder.paths import RunPaths
from qa.run_folder.shards import saved_tensors
from qa.run_folder.states import AVERAGE, MODEL

Kind = Literal["auto", "trained", "averaged"]


def export_checkpoint(checkpoint: Path, output: Path, *, weights: Kind = "auto", overwrite: bool = False) -> Path:
    """Make a model of a checkpoint, and return its folder.

    Configuration and tokenizer are those of the run's model/ or, where it has none yet, of the model it began with.

    Args:
        checkpoint: its folder.
        output: folder to make.
        weights: as trained, or their average; auto: the average where there is one.
        overwrite: whether to replace a folder that is there.

    Raises:
        CheckpointError: it has no averaged weights, or those of another model.
        ConfigError, ModelError: the run folder does not say which model it is, or that does not load.
        StorageError: the checkpoint is damaged, or the model cannot be written.

    """
    if output.exists() and not overwrite and (not output.is_dir() or any(output.iterdir())):
        raise StorageError(f"{output} is there already; wanted a new folder, or --overwrite")
    check_manifest(checkpoint)
    paths = RunPaths(checkpoint.resolve().parents[1])
    config = load_config(paths.config)
    source, revision = (str(paths.model), None) if paths.model.is_dir() else (config.model, config.model_revision)
    reader = load_reader(source, max_length=config.features.max_length, revision=revision)
    reader.prepare_head(config.head)
    tensors = _weights(checkpoint, weights)
    if has_lora(tensors):
        tensors = merged_weights(tensors, alpha=config.recipe.lora_alpha)
    try:
        reader.model.load_state_dict(tensors)
    except RuntimeError as error:
        raise CheckpointError(f"the checkpoint {checkpoint} does not fit the model {source}: {error}") from error
    save_reader(output, reader.model, reader.model.state_dict(), reader.tokenizer, _settings(checkpoint, config))
    return output


def _weights(checkpoint: Path, kind: Kind) -> dict[str, Tensor]:
    try:
        average = saved_tensors(checkpoint, AVERAGE) if kind != "trained" else {}
        if kind == "averaged" and not average:
            raise CheckpointError(
                f"{checkpoint} has no averaged weights: recipe.averaging was none; wanted trained ones"
            )
        return average or saved_tensors(checkpoint, MODEL)
    except (OSError, SafetensorError) as error:
        raise StorageError(f"cannot read the weights of {checkpoint}: {error}") from error


def _settings(checkpoint: Path, config: RunConfig) -> ReaderSettings:
    """Read how a model of the run is used; checkpoints of older formats do not say it."""
    try:
        state: dict[str, Any] = json.loads((checkpoint / STATE).read_bytes())
        if "reader" in state:
            return TypeAdapter(ReaderSettings).validate_python(state["reader"])
    except (OSError, ValueError, ValidationError) as error:
        raise StorageError(f"cannot read {checkpoint / STATE}: {error}") from error
    return settings_of(config, null_possible=True, threshold=0.0)
