"""The windows of an example, as `qa inspect` shows them."""

from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from qa.cli.display import print_line, print_marked, print_table
from qa.data.examples import Examples
from qa.errors import ExampleError
from qa.features.labels import build_labels
from qa.features.views import TokenView, WindowView, windows_of
from qa.features.windows import Features

_AROUND = 4  # tokens shown on either side of a label; without one, so many twice from the beginning


@dataclass(frozen=True, kw_only=True)
class ExampleView:
    """An example with its windows."""

    id: str
    question: str
    context: str
    windows: tuple[WindowView, ...]


def view_of(examples: Examples, features: Features, tokenizer: PreTrainedTokenizerBase, wanted: str) -> ExampleView:
    """Return the windows of the example with an id.

    Raises:
        ExampleError: there is none.

    """
    ids: list[str] = examples.rows["id"][:]
    if wanted not in ids:
        raise ExampleError(f"no example has the id {wanted!r}; the first of {len(ids)} is {ids[0]!r}")
    row = ids.index(wanted)
    labels = build_labels(examples.rows, features) if examples.has_references else None
    example = examples.rows[row]
    return ExampleView(
        id=wanted,
        question=example["question"],
        context=example["context"],
        windows=tuple(windows_of(features, labels, row, tokenizer)),
    )


def show_windows(view: ExampleView) -> None:
    """Print the windows of an example: where each is, its label marked in its text, and tokens with their offsets."""
    print_line(f"\n{view.id}: {view.question}")
    for number, window in enumerate(view.windows, start=1):
        begin, end = window.place
        print_line(
            f"\nwindow {number} of {len(view.windows)}: {window.length} tokens, {len(window.tokens)} of the context, "
            f"characters {begin} to {end}; {'label' if window.labels else 'no label: the answer is not here'}"
        )
        print_marked(view.context[begin:end], [(start - begin, stop - begin) for start, stop in window.labels[:1]])
        print_table(
            ("token", "from", "to", "text"),
            [(token.token, *token.place, repr(view.context[slice(*token.place)])) for token in _around_label(window)],
        )


def _around_label(window: WindowView) -> tuple[TokenView, ...]:
    if not window.labels:
        return window.tokens[: 2 * _AROUND]
    start, stop = window.labels[0]
    inside = [at for at, token in enumerate(window.tokens) if token.place[0] < stop and start < token.place[1]]
    return window.tokens[max(inside[0] - _AROUND, 0) : inside[-1] + 1 + _AROUND]
