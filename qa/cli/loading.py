"""Flags -> predictor, and its answers to examples; texts as they are."""

import dataclasses
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from tqdm import tqdm
from transformers.utils.logging import disable_progress_bar

from qa.cli.flags import ModelFlags, ReadingFlags
from qa.data.examples import Examples
from qa.decoding.predictions import Predictions
from qa.errors import DataError
from qa.inference.inputs import Row
from qa.inference.options import AnswerOptions, CallOptions
from qa.inference.predictor import Predictor
from qa.runtime.cores import use_model_threads

AT_ONCE = 256
"""Examples that are answered together, between two steps of the progress bar."""


def load_predictor(flags: ModelFlags) -> Predictor:
    """Load the model that the flags name on this process's cores, without the library's bars and reports."""
    use_model_threads()
    disable_progress_bar()  # type: ignore[no-untyped-call]  # the library has no types here
    logging.getLogger("transformers").setLevel(logging.ERROR)
    return Predictor.from_pretrained(
        flags.model, revision=flags.revision, device=flags.device, dtype=flags.dtype, backend=flags.backend
    )


def read_text(file: Path) -> str:
    """Read a file as it is: places are counted in its own characters, line ends included.

    Raises:
        DataError: it cannot be read, or is not UTF-8.

    """
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


def call_options(flags: ReadingFlags, *, top_k: int) -> CallOptions:
    """Return the options of a call that the flags name."""
    return cast("CallOptions", dataclasses.asdict(flags) | {"top_k": top_k})


def progress(
    predictor: Predictor, examples: Examples, options: AnswerOptions
) -> Iterator[tuple[list[Row], Predictions]]:
    """Predict examples chunk by chunk, with a progress bar on a terminal."""
    options = dataclasses.replace(options, inputs_at_once=AT_ONCE)
    with tqdm(total=len(examples), unit="example", disable=not sys.stderr.isatty()) as bar:
        for rows, predictions in predictor.predictions(examples.rows, options):
            yield rows, predictions
            bar.update(len(rows))
