"""Flags -> examples, and how they are written."""

import sys
from collections.abc import Iterable
from pathlib import Path

from qa.cli.flags import DataFlags
from qa.cli.output import STANDARD_OUTPUT
from qa.config import DataConfig, OnBadExample
from qa.data.examples import Examples, load_examples, take
from qa.data.references import Purpose
from qa.data.streaming import ExampleStream
from qa.data.writing import known_format


def load_data(flags: DataFlags, on_bad_example: OnBadExample, purpose: Purpose = "spans") -> Examples:
    """Load the examples that the flags name, for what the references are to serve; say what should be known of them."""
    config = DataConfig(name=flags.data_name, revision=flags.data_revision, on_bad_example=on_bad_example)
    examples = load_examples(flags.data, split=flags.split, config=config, purpose=purpose)
    say(examples.notes)
    return take(examples, flags.max_examples)


def stream(flags: DataFlags, on_bad_example: OnBadExample, purpose: Purpose) -> ExampleStream:
    """Return the examples that the flags name, to be read table by table."""
    config = DataConfig(name=flags.data_name, revision=flags.data_revision, on_bad_example=on_bad_example)
    return ExampleStream(flags.data, flags.split, config, purpose, flags.max_examples)


def say(notes: Iterable[str]) -> None:
    """Print notes for people on standard error, which programs that read the output don't see."""
    for note in notes:
        print(f"note: {note}", file=sys.stderr)  # noqa: T201


def data_format(out: Path) -> str:
    """Return how examples are written, as `known_format` does; on standard output they are JSON Lines."""
    return known_format(out if out != STANDARD_OUTPUT else Path("lines.jsonl"))
