"""`qa unanswerable`: questions asked of contexts that do not answer them, to train on beside others."""

import sys

from qa.cli.data import load_data
from qa.cli.data_flags import Unanswerable
from qa.cli.display import print_json, print_line
from qa.cli.output import STANDARD_OUTPUT, open_bytes
from qa.data.unanswerable import ask_elsewhere
from qa.data.writing import known_format, write_examples_into
from qa.errors import DataError, UsageError
from qa.inference.lexical import lexical_scores


def run(arguments: Unanswerable) -> None:
    """Write them, and say how many."""
    if not 0 < arguments.share <= 1:
        raise UsageError(f"share is {arguments.share:g}; wanted more than 0, at most 1")
    out = arguments.output.out
    form = known_format(out) if out != STANDARD_OUTPUT else ".jsonl"
    with open_bytes(out, overwrite=arguments.output.overwrite) as output:
        examples = load_data(arguments.data, arguments.on_bad_example, "texts")
        table = examples.rows.with_format("arrow")[:]
        made = ask_elsewhere(table, lexical_scores, share=arguments.share, seed=arguments.seed)
        if not made.num_rows:
            raise DataError(
                f"{arguments.data.data}: none of {table.num_rows} questions has another context that shares words with"
                " it and does not answer it; wanted several contexts"
            )
        write_examples_into([made], output.file, form)
    if output.is_standard:  # where the examples are
        print(f"{made.num_rows} unanswerable questions", file=sys.stderr)  # noqa: T201
    elif arguments.json:
        print_json({"examples": made.num_rows, "of": table.num_rows, "out": str(out)})
    else:
        print_line(f"{made.num_rows} unanswerable questions, of {table.num_rows} examples: {out}")
