"""Every way in which the removed pipeline was called -> rows of a call."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch.utils.data import Dataset

from qa.errors import ExampleError
from qa.inference.inputs import Row, has_places, is_series, items_of, paired

_INPUT_NAMES = ("data", "X", "inputs")
"""Keywords under which inputs came in place of the first argument."""


@dataclass(frozen=True)
class SquadExample:
    """A question and its context, as `create_sample` makes them; the attributes' names are the removed pipeline's."""

    question_text: str
    context_text: str


def calls_rows(args: tuple[Any, ...], given: dict[str, Any]) -> list[Row] | Iterator[Row]:
    """Take the inputs out of a call's arguments; what is left in `given` are options.

    Args:
        args: a dict, a list of dicts or samples, several of these, a question and a context, or a generator.
        given: options, and `question` and `context`, or inputs under `data`, `X` or `inputs`; these are taken out.

    Returns:
        Rows with question and context; an iterator where the inputs are a generator or a data set as PyTorch has them.

    Raises:
        ExampleError: no inputs, some twice, or of a type that is none of these.

    """
    named = {name: given.pop(name) for name in ("question", "context") if name in given}
    inputs = [given.pop(name) for name in _INPUT_NAMES if name in given]
    if len(inputs) + bool(args) + bool(named) != 1:
        raise ExampleError("wanted inputs in one place: as arguments, as question= and context=, or as data=")
    if named:
        return _listed(paired(named.get("question"), named.get("context")))
    return _rows(inputs[0] if inputs else args[0] if len(args) == 1 else _from_several(args))


def _from_several(args: tuple[Any, ...]) -> object:
    """Return a question and a context, or several of each, as rows; other arguments are inputs themselves."""
    if len(args) == 2 and not any(isinstance(one, Mapping | SquadExample) for one in args):
        return paired(*args)
    return list(args)


def _rows(inputs: Any) -> list[Row] | Iterator[Row]:  # noqa: ANN401  # whatever a caller has
    if has_places(inputs):
        return map(_row, items_of(inputs))
    if isinstance(inputs, Iterator) or (isinstance(inputs, Dataset) and isinstance(inputs, Iterable)):  # PyTorch's
        return map(_row, inputs)
    if isinstance(inputs, Mapping):
        return _listed(paired(inputs.get("question"), inputs.get("context")))
    return [_row(item) for item in inputs] if is_series(inputs) else [_row(inputs)]


def _listed(rows: Any) -> list[Row]:  # noqa: ANN401  # one row or several
    return rows if isinstance(rows, list) else [rows]


def _row(item: object) -> Row:
    if hasattr(item, "question_text") and hasattr(item, "context_text"):
        return {"question": item.question_text, "context": item.context_text}
    if isinstance(item, Mapping):
        return item
    raise ExampleError(f"input is {item!r:.80}; wanted a dict with question and context")
