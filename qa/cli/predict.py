"""`qa predict`: answers to all examples of a data set, written as they come, or shard by shard on an engine."""

import contextlib
import itertools
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

from qa.cli import engines
from qa.cli.answer_flags import Predict
from qa.cli.answering import AT_ONCE, progress
from qa.cli.data import load_data
from qa.cli.display import print_json, print_line
from qa.cli.loading import call_options, load_predictor
from qa.cli.output import Output, open_output
from qa.data.examples import Examples
from qa.decoding.predictions import Predictions
from qa.inference.inputs import Row
from qa.inference.options import AnswerOptions
from qa.inference.predictor import Predictor
from qa.inference.records import records_of
from qa.inference.remarks import Remarks, RemarksOfCall
from qa.runtime.launched import Processes, run_in_processes


def run(arguments: Predict) -> int:
    """Write a line of JSON for every example; return the exit status."""
    work = predict if arguments.engine.engine is None else engines.predict
    return run_in_processes(lambda processes: work(arguments, processes))


def predict(arguments: Predict, processes: Processes) -> None:
    """Write the lines to one file: groups of examples in turns on all processes, by the main one. Collective."""
    examples = load_data(arguments.data, arguments.on_bad_example, "nothing")
    predictor = load_predictor(replace(arguments.model, device=arguments.model.device or processes.device))
    options = predictor.options(**call_options(arguments.reading, predictor.settings, top_k=arguments.top_k, usual=1))
    remarks, began = RemarksOfCall(), time.perf_counter()
    place, source = arguments.output, origin(arguments, examples, options)
    with contextlib.ExitStack() as closing:
        opened = open_output(place.out, overwrite=place.overwrite, resume=place.resume, source=source, multiple=AT_ONCE)
        output = closing.enter_context(opened) if processes.is_main else None
        done, *_ = processes.gathered(output.done if output is not None else 0)
        groups = line_groups(predictor.telling(remarks.take), examples, options, processes, done=done)
        for _ in range(done, len(examples), AT_ONCE * processes.count):
            lines = processes.gathered(next(groups, []))
            if output is not None:
                output.lines.writelines(itertools.chain.from_iterable(lines))
                output.lines.flush()
    seen = sum(processes.gathered(remarks.all), Remarks())
    if output is not None:
        tell_summary(arguments, output, examples, seen, seconds=time.perf_counter() - began)


def tell_summary(arguments: Predict, output: Output, examples: Examples, seen: Remarks, *, seconds: float) -> None:
    """Print how much was answered, in what time."""
    summary = {"examples": len(examples), "problems": len(examples.problems), "seconds": seconds, "out": output.name}
    summary |= {"unknown_tokens": seen.unknown.shares}
    line = f"{len(examples)} examples in {seconds:.1f} s, {seen.unknown}: {output.name}"
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


def line_groups(
    predictor: Predictor, examples: Examples, options: AnswerOptions, processes: Processes, *, done: int
) -> Iterator[list[str]]:
    """Yield the lines of every group of examples that is this process's turn, of those that are not done."""
    begins = range(done, len(examples), AT_ONCE)[processes.index :: processes.count]
    indices = [at for begin in begins for at in range(begin, min(begin + AT_ONCE, len(examples)))]
    mine = replace(examples, rows=examples.rows.select(indices))
    group: list[str] = []
    for rows, predictions in progress(predictor, mine, options):
        group += lines_of(rows, predictions, options)
        if len(group) == AT_ONCE:  # or fewer, where texts are long
            yield group
            group = []
    if group:
        yield group


def lines_of(rows: Sequence[Row], predictions: Predictions, options: AnswerOptions) -> list[str]:
    """Return a line of JSON for every example."""
    records = records_of([row["context"] for row in rows], predictions, options)
    return [f"{json.dumps({'id': row['id'], **record})}\n" for row, record in zip(rows, records, strict=True)]
