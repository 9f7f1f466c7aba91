"""`qa predict`: answers to all examples of a data set, written as they come; and what commands load alike."""

import dataclasses
import json
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from tqdm import tqdm
from transformers.utils.logging import disable_progress_bar

from qa.answers import Predictions
from qa.commands import DataFlags, ModelFlags, Predict, ReadingFlags
from qa.config import DataConfig
from qa.data import Examples, load_examples, take
from qa.display import print_json, print_line
from qa.files import whole_file
from qa.inputs import Row
from qa.predictor import Predictor
from qa.reading import ReadingOptions
from qa.results import answers_of

_AT_ONCE = 256  # examples between two steps of the progress bar


def run(arguments: Predict) -> None:
    """Write a line of JSON for every example."""
    examples = load_data(arguments)
    predictor = load_predictor(arguments)
    options = predictor.options(top_k=arguments.top_k, **reading_arguments(arguments))
    began = time.perf_counter()
    with whole_file(arguments.out) as file:
        for rows, predictions in progress(predictor, examples, options):
            file.writelines(f"{json.dumps(record)}\n" for record in records(rows, predictions, options))
    seconds = time.perf_counter() - began
    if arguments.json:
        skipped = len(examples.problems)
        print_json({"examples": len(examples), "problems": skipped, "seconds": seconds, "out": str(arguments.out)})
    else:
        print_line(f"{len(examples)} examples in {seconds:.1f} s: {arguments.out}")


def records(rows: Sequence[Row], predictions: Predictions, options: ReadingOptions) -> Iterator[dict[str, Any]]:
    """Give what is written of every example: its answer, and what `qa score` needs to try other thresholds."""
    found = answers_of(
        predictions,
        [row["context"] for row in rows],
        threshold=options.threshold,
        top_k=max(options.top_k, 2),  # "no answer" may be the first
        align_to_words=options.align_to_words,
    )
    for row, answers, null_odds in zip(rows, found, predictions.null_odds.tolist(), strict=True):
        best_span = next((answer["answer"] for answer in answers if answer["answer"]), "")
        record = {"id": row["id"], **answers[0], "best_span": best_span, "null_odds": null_odds}
        yield record | ({"answers": answers[: options.top_k]} if options.top_k > 1 else {})


def progress(
    predictor: Predictor, examples: Examples, options: ReadingOptions
) -> Iterator[tuple[list[Row], Predictions]]:
    """Predict examples chunk by chunk, with a progress bar on a terminal."""
    options = dataclasses.replace(options, inputs_at_once=_AT_ONCE)
    with tqdm(total=len(examples), unit="example", disable=not sys.stderr.isatty()) as bar:
        for rows, predictions in predictor.predictions(examples.rows, options):
            yield rows, predictions
            bar.update(len(rows))


def load_predictor(flags: ModelFlags) -> Predictor:
    """Load the model that the flags name, without the library's bars and reports."""
    disable_progress_bar()  # type: ignore[no-untyped-call]  # the library has no types here
    logging.getLogger("transformers").setLevel(logging.ERROR)
    return Predictor.from_pretrained(
        flags.model, revision=flags.revision, device=flags.device, dtype=flags.dtype, backend=flags.backend
    )


def load_data(flags: DataFlags) -> Examples:
    """Load the examples that the flags name."""
    config = DataConfig(name=flags.data_name, revision=flags.data_revision, on_bad_example=flags.on_bad_example)
    return take(load_examples(flags.data, split=flags.split, config=config), flags.max_examples)


def reading_arguments(flags: ReadingFlags) -> dict[str, Any]:
    """Return those of the flags that a predictor's call takes."""
    return {field.name: getattr(flags, field.name) for field in dataclasses.fields(ReadingFlags)}
