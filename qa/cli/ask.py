"""`qa ask`: answers to questions that a person, or a program line by line, asks of one text."""

import sys
from collections.abc import Iterator, Sequence
from functools import partial

from qa.cli.answer_flags import Ask
from qa.cli.display import print_json, print_line, print_marked, print_table
from qa.cli.loading import STANDARD_INPUT, call_options, decode_input, load_predictor, read_text
from qa.errors import DataError, UsageError
from qa.inference.answers import Answer

_SHOWN = 5  # answers


def run(arguments: Ask) -> None:
    """Answer one question, or one after another."""
    context = _context(arguments)
    predictor = load_predictor(arguments.model)
    options = predictor.options(
        **call_options(arguments.reading, predictor.settings, top_k=arguments.top_k, usual=_SHOWN)
    )
    show = _show_as_json if arguments.json else partial(_show, every=options.answers == "all")
    for question in _questions(arguments):
        (answers,) = predictor.answers([{"question": question, "context": context}], options)
        show(question, context, answers)


def _context(arguments: Ask) -> str:
    if arguments.context is not None and arguments.file is not None:
        raise UsageError("found --context and --file; wanted one of them")
    if arguments.context is not None:
        return arguments.context
    file = arguments.file or STANDARD_INPUT
    if file == STANDARD_INPUT:
        _prepare_input(arguments)
    return read_text(file)


def _prepare_input(arguments: Ask) -> None:
    """Check that standard input is free for the text, and ask for it whoever sits there."""
    if arguments.question is None:
        raise UsageError("without --question, standard input is for questions; wanted --context or --file")
    if sys.stdin.isatty():
        sys.stderr.write("The text, ended by Ctrl-D on a line of its own:\n")


def _questions(arguments: Ask) -> Iterator[str]:
    if arguments.question is not None:
        yield arguments.question
        return
    by_hand = sys.stdin.isatty()
    for line in _typed_lines() if by_hand else map(decode_input, sys.stdin.buffer):
        if question := line.strip():
            yield question
        elif by_hand:
            return


def _typed_lines() -> Iterator[str]:
    try:
        while True:
            yield input("question: ")
    except EOFError:
        return
    except UnicodeDecodeError as error:
        raise DataError(f"cannot read standard input: {error}") from error


def _show_as_json(question: str, _context: str, answers: Sequence[Answer]) -> None:
    print_json({"question": question, "answers": answers})


def _show(_question: str, context: str, answers: Sequence[Answer], *, every: bool) -> None:
    marked = _marked(answers, every=every)
    if marked:
        print_marked(context, marked)
    else:
        print_line(f"The text does not answer this{_certainty(answers)}.")
    rows = [
        (
            answer["score"],
            answer["place_score"],
            f"{answer['start']}–{answer['end']}",
            answer["answer"] or "(no answer)",
        )
        for answer in answers
    ]
    if rows:
        print_table(("probability", "at this place", "characters", "answer"), rows)


def _marked(answers: Sequence[Answer], *, every: bool) -> list[tuple[int, int]]:
    """Return the places of the best answer, or of all."""
    return [(one["start"], one["end"]) for one in (answers if every else answers[:1]) if one["answer"]]


def _certainty(answers: Sequence[Answer]) -> str:
    return f" (probability {answers[0]['score']:.2f})" if answers else ""
