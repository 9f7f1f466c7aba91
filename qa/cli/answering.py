"""Examples -> a predictor's answers to them, with a progress bar."""

import dataclasses
import sys
from collections.abc import Iterator

from tqdm import tqdm

from qa.data.examples import Examples
from qa.decoding.predictions import Predictions
from qa.inference.inputs import Row
from qa.inference.options import AnswerOptions
from qa.inference.predictor import Predictor

AT_ONCE = 256
"""Examples that are answered together, between two steps of the progress bar."""


def progress(
    predictor: Predictor, examples: Examples, options: AnswerOptions
) -> Iterator[tuple[list[Row], Predictions]]:
    """Predict examples chunk by chunk, with a progress bar on a terminal."""
    options = dataclasses.replace(options, inputs_at_once=AT_ONCE)
    with tqdm(total=len(examples), unit="example", disable=not sys.stderr.isatty()) as bar:
        for rows, predictions in predictor.predictions(examples.rows, options):
            yield rows, predictions
            bar.update(len(rows))
