"""`qa predict`: answers to all examples of a data set, written as they come."""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from itertools import repeat
from typing import Any

from qa.cli.answer_flags import Predict
from qa.cli.answering import AT_ONCE, progress
from qa.cli.data import load_data
from qa.cli.display import print_json, print_line
from qa.cli.loading import call_options, load_predictor
from qa.cli.output import open_output
from qa.data.examples import Examples
from qa.decoding.predictions import Predictions
from qa.inference.answers import answers_of
from qa.inference.inputs import Row
from qa.inference.options import AnswerOptions
from qa.inference.remarks import RemarksOfCall
from qa.inference.several import all_answers_of


def run(arguments: Predict) -> None:
    """Write a line of JSON for every example."""
    examples = load_data(arguments.data, arguments.on_bad_example, "nothing")
    predictor = load_predictor(arguments.model)
    options = predictor.options(**call_options(arguments.reading, predictor.settings, top_k=arguments.top_k, usual=1))
    remarks, began = RemarksOfCall(), time.perf_counter()
    place, source = arguments.output, origin(arguments, examples, options)
    with open_output(
        place.out, overwrite=place.overwrite, resume=place.resume, source=source, multiple=AT_ONCE
    ) as output:
        left = replace(examples, rows=examples.rows.select(range(output.done, len(examples))))
        for rows, predictions in progress(predictor.telling(remarks.take), left, options):
            output.lines.writelines(f"{json.dumps(record)}\n" for record in records(rows, predictions, options))
            output.lines.flush()
    unknown = remarks.all.unknown
    seconds, problems = time.perf_counter() - began, len(examples.problems)
    summary = {"examples": len(examples), "problems": problems, "seconds": seconds, "out": output.name}
    summary |= {"unknown_tokens": unknown.shares}
    line = f"{len(examples)} examples in {seconds:.1f} s, {unknown}: {output.name}"
    if output.is_standard:  # where the lines are
        print(line, file=sys.stderr)  # noqa: T201
    elif arguments.json:
        print_json(summary)
    else:
        print_line(line)


def origin(arguments: Predict, examples: Examples, options: AnswerOptions) -> dict[str, Any]:
    """Return what the lines are made from, as JSON values, so that only the same work is resumed."""
    return {
        "data": examples.fingerprint,
        **{name: str(value) for name, value in asdict(arguments.model).items()},
        **{name: str(value) for name, value in asdict(options).items()},
    }


def records(rows: Sequence[Row], predictions: Predictions, options: AnswerOptions) -> Iterator[dict[str, Any]]:
    """Yield what is written for every example: its answers, and what `qa score` needs to try other thresholds."""
    contexts, wants_all = [row["context"] for row in rows], options.answers == "all"
    found = answers_of(
        predictions,
        contexts,
        threshold=options.threshold,
        top_k=2 if wants_all else max(options.top_k, 2),  # "no answer" may be the first
        align_to_words=options.align_to_words,
        overlap=options.overlap,
    )
    every = (
        all_answers_of(
            predictions,
            contexts,
            threshold=options.threshold,
            most=options.top_k,
            align_to_words=options.align_to_words,
        )
        if wants_all
        else repeat([])
    )
    for row, answers, own, null_odds in zip(rows, found, every, predictions.null_odds.tolist(), strict=False):
        best_span = next((answer["answer"] for answer in answers if answer["answer"]), "")
        record = {"id": row["id"], **answers[0], "best_span": best_span, "null_odds": null_odds}
        listed = own if wants_all else answers[: options.top_k]
        yield record | ({"answers": listed} if wants_all or options.top_k > 1 else {})
