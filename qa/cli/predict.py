"""`qa predict`: answers to all examples of a data set, written as they come."""

import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

from qa.cli.display import print_json, print_line
from qa.cli.flags import Predict
from qa.cli.loading import call_options, load_data, load_predictor, progress
from qa.decoding.predictions import Predictions
from qa.files import whole_file
from qa.inference.answers import answers_of
from qa.inference.inputs import Row
from qa.inference.options import AnswerOptions


def run(arguments: Predict) -> None:
    """Write a line of JSON for every example."""
    examples = load_data(arguments.data, arguments.on_bad_example)
    predictor = load_predictor(arguments.model)
    options = predictor.options(**call_options(arguments.reading, top_k=arguments.top_k))
    began = time.perf_counter()
    with whole_file(arguments.output.out) as file:
        for rows, predictions in progress(predictor, examples, options):
            file.writelines(f"{json.dumps(record)}\n" for record in records(rows, predictions, options))
    seconds = time.perf_counter() - began
    out, problems = str(arguments.output.out), len(examples.problems)
    if arguments.json:
        print_json({"examples": len(examples), "problems": problems, "seconds": seconds, "out": out})
    else:
        print_line(f"{len(examples)} examples in {seconds:.1f} s: {out}")


def records(rows: Sequence[Row], predictions: Predictions, options: AnswerOptions) -> Iterator[dict[str, Any]]:
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
