"""`qa convert`: the examples of any source in one validated file."""

from qa.cli.data import say, stream
from qa.cli.data_flags import Convert
from qa.cli.display import print_json, print_line
from qa.cli.problems import problem_file, show_problems
from qa.data.writing import require_known_format, write_examples


def run(arguments: Convert) -> None:
    """Write, and say what was dropped or changed."""
    out = arguments.output.out
    require_known_format(out)
    examples = stream(arguments.data, arguments.on_bad_example, arguments.references)
    with problem_file(out.with_name(f"{out.name}.problems.jsonl")) as problems:
        written = write_examples(examples.tables(problems), out)
    say(examples.notes)
    if arguments.json:
        print_json({"examples": written, "out": str(out), **problems.summary(), "notes": examples.notes})
        return
    show_problems(problems.counts, problems.first)
    if problems.counts:
        print_line(f"all problems: {problems.path}")
    print_line(f"{written} examples: {out}")
