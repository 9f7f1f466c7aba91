"""`qa convert`: the examples of any source in one validated file."""

import sys

from qa.cli.data import data_format, say, stream
from qa.cli.data_flags import Convert
from qa.cli.display import print_json, print_line
from qa.cli.output import open_bytes
from qa.cli.problems import ProblemFile, no_problem_file, problem_file, show_problems
from qa.data.writing import write_examples_into


def run(arguments: Convert) -> None:
    """Write, and say what was dropped or changed."""
    out = arguments.output.out
    form = data_format(out)
    with open_bytes(out, overwrite=arguments.output.overwrite) as output:
        examples = stream(arguments.data, arguments.on_bad_example, arguments.references)
        beside = problem_file(out.with_name(f"{out.name}.problems.jsonl")) if output.is_file else no_problem_file()
        with beside as problems:
            written = write_examples_into(examples.tables(problems), output.file, form)
    say(examples.notes)
    if output.is_standard:  # where the examples are
        print(f"{written} examples, {sum(problems.counts.values())} problems", file=sys.stderr)  # noqa: T201
    elif arguments.json:
        print_json({"examples": written, "out": str(out), **problems.summary(), "notes": examples.notes})
    else:
        _tell(problems, f"{written} examples: {out}")


def _tell(problems: ProblemFile, line: str) -> None:
    show_problems(problems.counts, problems.first)
    if problems.counts and problems.path is not None:
        print_line(f"all problems: {problems.path}")
    print_line(line)
