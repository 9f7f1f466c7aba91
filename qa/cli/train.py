"""`qa train`: the page `train_qa.py`, wherever the package is installed."""

import importlib

from qa.cli.start_flags import Train


def run(arguments: Train) -> int:
    """Train or evaluate as `train_qa.py` does with the same arguments; return the exit status."""
    page = importlib.import_module("train_qa")
    status: int = page.main(arguments.arguments)
    return status
