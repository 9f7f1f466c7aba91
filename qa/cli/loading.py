"""Flags -> predictor, and the options of a call; texts as they are."""

import dataclasses
import logging
import sys
from pathlib import Path
from typing import cast

from transformers.utils.logging import disable_progress_bar

from qa.cli.flags import ModelFlags, ReadingFlags
from qa.errors import DataError
from qa.inference.options import CallOptions
from qa.inference.predictor import Predictor
from qa.modeling.settings import ReaderSettings
from qa.runtime.cores import use_model_threads

STANDARD_INPUT = Path("-")


def load_predictor(flags: ModelFlags) -> Predictor:
    """Load the model that the flags name on this process's cores, without the library's bars and reports."""
    if flags.backend == "torch":
        use_model_threads()
    disable_progress_bar()  # type: ignore[no-untyped-call]  # the library has no types here
    logging.getLogger("transformers").setLevel(logging.ERROR)
    return Predictor.from_pretrained(
        flags.model, revision=flags.revision, device=flags.device, dtype=flags.dtype, backend=flags.backend
    )


def read_text(file: Path) -> str:
    """Read a file, or standard input, as it is: places are counted in its own characters, line ends included.

    Raises:
        DataError: it cannot be read, or is not UTF-8.

    """
    if file == STANDARD_INPUT:
        return decode_input(sys.stdin.buffer.read())
    try:
        return file.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {file}: {error}") from error


def decode_input(content: bytes) -> str:
    """Decode what came from standard input, whatever the machine's code page is, and with its own line ends.

    Raises:
        DataError: it is not UTF-8.

    """
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"cannot read standard input: {error}; wanted UTF-8") from error


def call_options(flags: ReadingFlags, own: ReaderSettings, *, top_k: int | None, usual: int) -> CallOptions:
    """Return the options of a call that the flags name.

    Args:
        flags: how to read.
        own: the reader's settings, by which all answers may be wanted.
        top_k: most answers of an input; None: `usual`, or all where these are wanted.
        usual: answers of an input.

    """
    answers = flags.answers or own.answers
    most = usual if top_k is None and answers == "any" else top_k
    return cast("CallOptions", dataclasses.asdict(flags) | {"answers": answers, "top_k": most})
