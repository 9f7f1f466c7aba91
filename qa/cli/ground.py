"""`qa ground`: where sources have what an answer says."""

from qa.cli.answer_flags import Ground
from qa.cli.display import print_json, print_table
from qa.cli.flags import ModelFlags
from qa.cli.loading import STANDARD_INPUT, load_predictor, read_text
from qa.errors import UsageError
from qa.inference.grounding import Grounding, ground


def run(arguments: Ground) -> None:
    """Look for each part of the answer in the sources."""
    _check_input(arguments)
    answer = _answer(arguments)
    sources = [read_text(file) for file in arguments.sources]
    flags = None if arguments.model is None else ModelFlags(model=arguments.model, backend=arguments.backend)
    found = ground(
        answer, sources, reader=None if flags is None else load_predictor(flags), min_score=arguments.min_score
    )
    if arguments.json:
        for one in found:
            print_json(one)
    else:
        print_table(
            ("verdict", "certainty", "source", "characters", "quote", "text"), [_row(one, arguments) for one in found]
        )


def _check_input(arguments: Ground) -> None:
    """Check that standard input, which ends once, is named once at most."""
    is_answer = arguments.file == STANDARD_INPUT or (arguments.file, arguments.answer, arguments.quotes) == (
        None,
        None,
        (),
    )
    if arguments.sources.count(STANDARD_INPUT) + is_answer > 1:
        raise UsageError("found standard input as two texts; wanted it as one source, or as the answer")


def _answer(arguments: Ground) -> str | list[str]:
    said = [name for name in ("answer", "file", "quotes") if getattr(arguments, name) not in {None, ()}]
    if len(said) > 1:
        raise UsageError(f"found {' and '.join(f'--{name}' for name in said)}; wanted one of them")
    if arguments.quotes:
        return list(arguments.quotes)
    if arguments.answer is not None:
        return arguments.answer
    return read_text(arguments.file or STANDARD_INPUT)


def _row(one: Grounding, arguments: Ground) -> tuple[object, ...]:
    source = "" if one["source"] is None else arguments.sources[one["source"]].name
    place = f"{one['start']}–{one['end']}" if one["text"] else ""
    return one["verdict"], one["score"], source, place, one["quote"], one["text"]
