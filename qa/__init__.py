"""Extractive question answering on PyTorch: fine-tune, evaluate and use SQuAD-style readers."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qa.compatibility import pipeline as pipeline
    from qa.predictor import Predictor as Predictor

__all__ = ["Predictor", "pipeline"]

_HOMES = {"Predictor": "qa.predictor", "pipeline": "qa.compatibility"}


def __getattr__(name: str) -> object:
    """Import what is public when it is first asked for: torch and transformers take seconds."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'qa' has no attribute {name!r}")
