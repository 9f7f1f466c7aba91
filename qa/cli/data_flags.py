"""What commands that read or write data sets take: their part of --help."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from qa.config import OnBadExample

_Json = Annotated[bool, arg(name="json")]
OnBadExampleFlag = Annotated[
    OnBadExample,
    arg(help="Stop at a bad example, skip it, or repair it: find the places of its answers, make its id unique, …"),
]
ReferencesFlag = Annotated[
    Literal["spans", "texts"],
    arg(help="What references are for: spans to train on, or texts to score against, which need no place."),
]


@dataclass(frozen=True, kw_only=True)
class DataFlags:
    """Which examples."""

    data: Positional[str]
    """Hub id, file, folder, or sample for the embedded data set (sample:ar and sample:zh in other languages)."""
    split: str = "validation"
    """Split, where the source has splits."""
    data_name: str | None = None
    """Configuration of a hub data set that has several."""
    data_revision: str | None = None
    """Branch, tag or commit of a hub data set."""
    max_examples: int | None = None
    """Examples taken, spread evenly over the set; none: all."""


@dataclass(frozen=True, kw_only=True)
class SourceFlags(DataFlags):
    """Which examples."""

    split: str = "train"
    """Split, where the source has splits."""


@dataclass(frozen=True, kw_only=True)
class OutputFlags:
    """Where to write."""

    # A group of its own, since positional arguments of a command come before those of its groups.

    out: Positional[Path]
    """File to write, JSON Lines; - is standard output."""
    overwrite: bool = False
    """Replace a file that exists."""
    resume: bool = False
    """Go on where an interrupted command ended: its lines are in the file's name with .part."""


@dataclass(frozen=True, kw_only=True)
class OutputFileFlags:
    """Where to write."""

    out: Positional[Path]
    """File to write: .json (SQuAD, nested), .jsonl, .parquet, or .json.gz and .jsonl.gz; - is standard output."""
    overwrite: bool = False
    """Replace a file that exists."""


@dataclass(frozen=True, kw_only=True)
class OutputFolderFlags:
    """Where to write."""

    out: Positional[Path]
    """New folder that gets a file for each part."""


@dataclass(frozen=True, kw_only=True)
class Convert:
    """Write the good examples of any accepted source as validated SQuAD JSON, JSON Lines or Parquet.

    What was dropped or changed is told row by row in a file beside it. Memory does not grow with the source, but for
    JSON documents.
    """

    data: SourceFlags
    on_bad_example: OnBadExampleFlag = "error"
    references: ReferencesFlag = "spans"
    output: OutputFileFlags
    json: _Json = False
    """Print the summary as JSON."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """Split the good examples of any accepted source so that no context is in two parts.

    The parts have equal shares of answerable and unanswerable examples as far as contexts allow. Memory grows with the
    number of contexts, not with their size.
    """

    data: SourceFlags
    on_bad_example: OnBadExampleFlag = "error"
    references: ReferencesFlag = "spans"
    output: OutputFolderFlags
    validation: float = 0.1
    """Share of the examples for validation."""
    test: float = 0.0
    """Share of the examples for a test set; 0: none."""
    folds: int | None = None
    """Folds of a cross-validation, each in a folder of its own with the rest for training; none: one split."""
    by: Literal["context", "title"] = "context"
    """What stays together: the examples of a context, or of all contexts with a title."""
    seed: int = 0
    """Seed of the choice."""
    format: Literal["jsonl", "json", "parquet"] = "jsonl"
    """Format of the files."""
    json: _Json = False
    """Print the summary as JSON."""
