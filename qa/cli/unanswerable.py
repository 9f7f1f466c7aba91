"""`qa unanswerable`: questions asked of contexts that do not hold their answers, to train on beside others."""

import sys

from qa.cli.data import data_format, load_data, say
from qa.cli.data_flags import Unanswerable
from qa.cli.display import print_json, print_line
from qa.cli.output import open_bytes
from qa.data.unanswerable import ask_elsewhere, draw_answerable
from qa.data.writing import write_examples_into
from qa.errors import DataError, UsageError
from qa.inference.lexical import lexical_scores


def run(arguments: Unanswerable) -> None:
    """Write them, and say how many of those drawn they are."""
    if not 0 < arguments.share <= 1:
        raise UsageError(f"share is {arguments.share:g}; wanted more than 0, at most 1")
    out, source = arguments.output.out, arguments.data.data
    form = data_format(out)
    with open_bytes(out, overwrite=arguments.output.overwrite) as output:
        examples = load_data(arguments.data, arguments.on_bad_example, "texts")
        if not examples.has_references:
            raise DataError(f"{source} has no references; wanted answers, by which questions can be answered")
        if examples.problems:
            say([f"{len(examples.problems)} bad rows of {source} were left out or changed; qa inspect lists them"])
        table = examples.rows.with_format("arrow")[:]
        drawn = draw_answerable(table, arguments.share, seed=arguments.seed)
        if not drawn:
            raise DataError(f"{source}: none of {table.num_rows} questions is answerable and drawn; wanted one or more")
        made = ask_elsewhere(table, drawn, lexical_scores)
        if not made.num_rows:
            raise DataError(
                f"{source}: none of {len(drawn)} questions has another context that shares words with it and holds none"
                " of its references; wanted several contexts"
            )
        write_examples_into([made], output.file, form)
    told = f"{made.num_rows} unanswerable questions, of {len(drawn)} that were drawn"
    if output.is_standard:  # where the examples are
        print(told, file=sys.stderr)  # noqa: T201
    elif arguments.json:
        print_json({"examples": made.num_rows, "drawn": len(drawn), "out": str(out)})
    else:
        print_line(f"{told}: {out}")
