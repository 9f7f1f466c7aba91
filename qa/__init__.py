"""Extractive question answering on PyTorch: fine-tune, evaluate and use SQuAD-style readers."""
