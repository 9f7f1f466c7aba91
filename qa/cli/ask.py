"""`qa ask`: answers to questions that a person, or a program line by line, asks of one text."""

import sys
from collections.abc import Iterator, Sequence

from qa.cli.display import print_json, print_line, print_marked, print_table
from qa.cli.flags import Ask
from qa.cli.loading import call_options, load_predictor
from qa.errors import DataError, UsageError
from qa.inference.answers import Answer


def run(arguments: Ask) -> None:
    """Answer the question, or one after the other."""
    context = _context(arguments)
    predictor = load_predictor(arguments.model)
    show = _show_as_json if arguments.json else _show
    kept = max(arguments.top_k, 2)  # for one answer a call returns no list
    for question in _questions(arguments):
        answers = predictor(question=question, context=context, **call_options(arguments.reading, top_k=kept))
        show(question, context, answers[: arguments.top_k])


def _context(arguments: Ask) -> str:
    if arguments.context is not None and arguments.file is not None:
        raise UsageError("found --context and --file; wanted one of them")
    if arguments.context is not None:
        return arguments.context
    if arguments.file is None:
        return _context_from_input(arguments)
    try:
        return arguments.file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {arguments.file}: {error}") from error


def _context_from_input(arguments: Ask) -> str:
    if arguments.question is None:
        raise UsageError("without --question, standard input is for questions; wanted --context or --file")
    if sys.stdin.isatty():
        sys.stderr.write("The text, ended by Ctrl-D on a line of its own:\n")
    return sys.stdin.read()


def _questions(arguments: Ask) -> Iterator[str]:
    if arguments.question is not None:
        yield arguments.question
        return
    prompt = "question: " if sys.stdin.isatty() else ""
    try:
        while question := input(prompt).strip():
            yield question
    except EOFError:
        return


def _show_as_json(question: str, _context: str, answers: Sequence[Answer]) -> None:
    print_json({"question": question, "answers": answers})


def _show(_question: str, context: str, answers: Sequence[Answer]) -> None:
    best = answers[0]
    if best["answer"]:
        print_marked(context, best["start"], best["end"])
    else:
        print_line(f"The text does not answer this (probability {best['score']:.2f}).")
    rows = [
        (answer["score"], f"{answer['start']}–{answer['end']}", answer["answer"] or "(no answer)") for answer in answers
    ]
    print_table(("probability", "characters", "answer"), rows)
