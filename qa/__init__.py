"""Extractive question answering on PyTorch: fine-tune, evaluate and use SQuAD-style readers."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qa.predictor import Predictor as Predictor
    from qa.predictor import pipeline as pipeline

__all__ = ["Predictor", "pipeline"]


def __getattr__(name: str) -> object:
    """Import what is public when it is first asked for: torch and transformers take seconds."""
    if name in __all__:
        return getattr(importlib.import_module("qa.predictor"), name)
    raise AttributeError(f"module 'qa' has no attribute {name!r}")
