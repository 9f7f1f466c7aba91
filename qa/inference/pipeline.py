"""The function that transformers removed in 5.3, for code that was written for it."""

import os

import torch

from qa.errors import ConfigError
from qa.inference.predictor import Predictor


def pipeline(
    task: str = "question-answering",
    model: str | os.PathLike[str] = "",
    *,
    tokenizer: str | os.PathLike[str] | None = None,
    device: str | int | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    revision: str | None = None,
) -> Predictor:
    """Make a predictor the way that transformers' `pipeline` made its own, so that an import is all that changes.

    Args:
        task: "question-answering".
        model: folder or hub id.
        tokenizer: None, or the same as `model`, whose tokenizer is the one that fits it.
        device: as `Predictor.from_pretrained` has it; -1 is the CPU, as it was.
        dtype: precision.
        revision: of a hub model.

    Raises:
        ConfigError: another task, no model, or another tokenizer.
        ModelError: see `Predictor.from_pretrained`.

    """
    if task != "question-answering":
        raise ConfigError(f"task is {task!r}; wanted 'question-answering'")
    if not model:
        raise ConfigError("found no model; wanted a folder or a hub id")
    if tokenizer is not None and os.fspath(tokenizer) != os.fspath(model):
        raise ConfigError(f"tokenizer is {os.fspath(tokenizer)!r}; wanted none, or the model's, {os.fspath(model)!r}")
    target = "cpu" if device == -1 else device
    return Predictor.from_pretrained(model, device=target, dtype=dtype, revision=revision)
