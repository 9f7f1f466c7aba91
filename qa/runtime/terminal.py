"""The terminal that help is written to."""

import os
import shutil

_NARROWEST = 40  # columns: help is laid out for ever where it has no room for a word


def widen_narrow_terminal() -> None:
    """Let what lays text out think that a terminal has room for a word."""
    if shutil.get_terminal_size().columns < _NARROWEST:
        os.environ["COLUMNS"] = str(_NARROWEST)
