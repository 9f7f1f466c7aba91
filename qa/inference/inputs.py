"""Rows of a call: paired, checked, cut into chunks."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sized
from collections.abc import Set as AbstractSet
from typing import Any, TypeGuard, cast

from qa.errors import ExampleError

Row = Mapping[str, Any]  # with the keys question and context, and whatever else the caller wants to have back

INPUTS_AT_ONCE = 1024
"""Inputs that are tokenised, sorted by length and answered together."""
CHARACTERS_AT_ONCE = 1 << 23  # of their contexts: about 2 million tokens, at 100 bytes each while they are built


def is_series(value: object) -> TypeGuard[Iterable[Any]]:
    """Return whether a value is several: a list, tuple, array, column or the like, but no text, dict, set or table."""
    if isinstance(value, str | bytes | bytearray | Mapping | AbstractSet) or hasattr(value, "columns"):
        return False
    return isinstance(value, Iterable) and getattr(value, "ndim", 1) == 1


def inputs_of(inputs: object, question: object, context: object) -> Row | Iterable[Any]:
    """Return what a call of the predictor asks: one row, several as a list, or what yields them.

    Args:
        inputs: a dict with question and context, also with several of them; several dicts; or, with a context after
            them, questions.
        question: in place of `inputs`: one, or several.
        context: one, or several.

    Raises:
        ExampleError: inputs in two places, of a type that is none of these, or not as many questions as contexts.

    """
    if inputs is None or (context is not None and question is None and not isinstance(inputs, Mapping)):
        return paired(question if inputs is None else inputs, context)
    if question is not None or context is not None:
        raise ExampleError("found inputs and question or context; wanted one or the other")
    if isinstance(inputs, Mapping):
        return paired(inputs.get("question"), inputs.get("context"))
    if is_series(inputs):
        return inputs
    if has_places(inputs):
        return items_of(inputs)
    raise ExampleError(
        f"inputs is {_shown(inputs)}; wanted a dict with question and context, several of these, or a question and a "
        "context, such as two columns of a table"
    )


def has_places(value: object) -> bool:
    """Return whether a value has a length and places but is not iterable, such as a data set of PyTorch."""
    return isinstance(value, Sized) and hasattr(value, "__getitem__") and not isinstance(value, Iterable)


def items_of(placed: Any) -> Iterator[object]:  # noqa: ANN401  # what has places
    """Yield what is at each place, as far as the length says: Python's own way would go on until an IndexError."""
    return (placed[at] for at in range(len(placed)))


def plain(value: Any) -> Any:  # noqa: ANN401  # whatever a caller has
    """Return what a scalar of Arrow holds; other values as they are."""
    return value.as_py() if hasattr(value, "as_py") else value


def paired(question: object, context: object) -> Row | list[Row]:
    """Pair questions and contexts; a single one goes with all of the other. Two single ones make one row.

    Raises:
        ExampleError: two lists of different lengths.

    """
    question, context = plain(question), plain(context)
    questions = list(map(plain, question)) if is_series(question) else None
    contexts = list(map(plain, context)) if is_series(context) else None
    if questions is None and contexts is None:
        return {"question": question, "context": context}
    if questions is not None and contexts is not None and len(questions) != len(contexts):
        raise ExampleError(f"found {len(questions)} questions and {len(contexts)} contexts; wanted as many, or one")
    asked = itertools.repeat(question) if questions is None else questions
    texts = itertools.repeat(context) if contexts is None else contexts
    return [{"question": one, "context": text} for one, text in zip(asked, texts, strict=False)]


def passages_of(contexts: object) -> Iterable[object]:
    """Return the passages of a search as they are.

    Raises:
        ExampleError: one text, which would be searched character by character, a dict, by its keys, or no series.

    """
    if not is_series(contexts):
        raise ExampleError(f"contexts is {_shown(contexts)}; wanted several passages, such as a list of texts")
    return contexts


def cut_into_chunks(rows: Iterable[object], size: int, *, takes_blank: bool = False) -> Iterator[list[Row]]:
    """Cut checked rows into lists of at most `size`, fewer where contexts are long; reads no further than the list.

    A list begins at every multiple of `size`, so that groups of so many rows are cut alike, together or each by itself.

    Args:
        rows: what was asked.
        size: rows of a list, at most.
        takes_blank: whether a text may be white space.

    Raises:
        ExampleError: a row of wrong type, or a text of it that is missing, blank or not encodable.

    """
    chunk: list[Row] = []
    characters = 0
    for index, row in enumerate(checked_rows(rows, takes_blank=takes_blank)):
        chunk.append(row)
        characters += len(row["context"])
        if not (index + 1) % size or characters >= CHARACTERS_AT_ONCE:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk


def checked_rows(rows: Iterable[object], *, takes_blank: bool = False) -> Iterator[Row]:
    """Yield rows as they are.

    Raises:
        ExampleError: a row of wrong type, or a text of it that is missing, blank or not encodable.

    """
    for index, row in enumerate(map(plain, rows)):
        if not isinstance(row, Mapping):
            raise ExampleError(f"input {index} is {_shown(row)}; wanted a dict with question and context")
        problem = problem_of(row, takes_blank=takes_blank)
        if problem is not None:
            raise ExampleError(f"input {index}: {problem}")
        yield row


def checked_question(question: object) -> str:
    """Return the question of a search.

    Raises:
        ExampleError: no text, a blank or not encodable one.

    """
    text = plain(question)
    problem = _problem_of_text("question", text)
    if problem is not None:
        raise ExampleError(problem)
    return cast("str", text)


def problem_of(row: Row, *, takes_blank: bool = False) -> str | None:
    """Return what keeps a row from being answered: a text that is missing, blank or not encodable; None: nothing."""
    problems = (_problem_of_text(name, row.get(name), takes_blank=takes_blank) for name in ("question", "context"))
    return next((problem for problem in problems if problem is not None), None)


def _problem_of_text(name: str, text: object, *, takes_blank: bool = False) -> str | None:
    if not isinstance(text, str) or not text or (text.isspace() and not takes_blank):
        return f"{name} is {_shown(text)}; wanted text"
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"{name} has a lone surrogate at character {error.start}"
    return None


def _shown(value: object) -> str:
    return f"{value!r:.80}"
