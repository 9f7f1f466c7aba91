"""What the commands about data sets take: their part of --help."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from qa.cli.flags import (
    DataFlags,
    Json,
    OnBadExampleFlag,
    OutputFileFlags,
    OutputFolderFlags,
    ReferencesFlag,
    SourceFlags,
)
from qa.config import Answers, FeaturesConfig


@dataclass(frozen=True, kw_only=True)
class Inspect:
    """Look into a data set: counts, lengths, windows per example, problems, and examples with the answer marked."""

    data: DataFlags
    on_bad_example: OnBadExampleFlag = "skip"
    model: str = "minilm"
    """Model whose tokenizer counts: hub id, folder, or minilm or multilingual, which packages carry."""
    max_length: int = FeaturesConfig.max_length
    """Longest window, in tokens."""
    doc_stride: int = FeaturesConfig.doc_stride
    """Tokens that neighbouring windows share."""
    max_question_length: int = FeaturesConfig.max_question_length
    """Tokens of a question that are kept."""
    examples: int = 3
    """Examples shown, drawn at random."""
    seed: int | None = None
    """Seed of that draw; none: others each time."""
    id: tuple[str, ...] = ()
    """Examples to look into instead: the place, the label and the tokens of each of their windows."""
    longest: int = 0
    """Number of examples with the longest contexts to name, with their tokens and windows."""
    json: Json = False
    """Print everything as one JSON object."""


@dataclass(frozen=True, kw_only=True)
class Convert:
    """Write the good examples of any accepted source as validated SQuAD JSON, JSON Lines or Parquet.

    A file beside it tells row by row what was dropped or changed. Memory does not grow with the source, except for JSON
    documents.
    """

    data: SourceFlags
    on_bad_example: OnBadExampleFlag = "error"
    references: ReferencesFlag = "spans"
    output: OutputFileFlags
    json: Json = False
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
    json: Json = False
    """Print the summary as JSON."""


@dataclass(frozen=True, kw_only=True)
class Unanswerable:
    """Write unanswerable questions: those of a source, each asked of a similar context without its answer in it.

    The context is another one of the same title, or of all where a title has no other; it may still answer in words of
    its own. Train on them beside the source: --more-train-data FILE. The source is held in memory, and time grows with
    the number of contexts to choose from.
    """

    data: SourceFlags
    on_bad_example: OnBadExampleFlag = "error"
    output: OutputFileFlags
    share: float = 0.5
    """Share of the answerable questions that are drawn."""
    seed: int = 0
    """Seed of that draw."""
    json: Json = False
    """Print the summary as JSON."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """Score predictions with the official metrics of SQuAD v1.1, or v2.0 if some example has no answer.

    Lists of answers, where all are wanted, are scored by the method of MultiSpanQA.
    """

    references: Positional[str]
    """Hub id, file, folder, or sample for the embedded data set."""
    predictions: Positional[Path]
    """What `qa predict` wrote, or the official JSON of answers by example id; or lists of them by id, such as a run's
    all_answers.json."""
    answers: Answers = "any"
    """Whether any reference is right by itself, or all are to be found by a list of answers."""
    null_odds: Path | None = None
    """JSON of null odds (or no-answer probabilities) by example id, for official predictions of v2.0."""
    threshold: float | Literal["official"] | None = None
    """Null odds above which a prediction counts as "no answer" (official: 1, as the script of v2.0 has it); none: only
    empty predictions do."""
    missing: Literal["error", "zero"] = "error"
    """Ids that only references or only predictions have: an error; or the former score 0 and the latter are ignored, as
    in the official scripts."""
    split: str = "validation"
    """Split of the references, where the source has splits."""
    data_name: str | None = None
    """Configuration of a hub data set that has several."""
    data_revision: str | None = None
    """Branch, tag or commit of a hub data set."""
    max_examples: int | None = None
    """Examples scored, spread evenly over the set; none: all."""
    on_bad_example: OnBadExampleFlag = "error"
    language: str = "en"
    """Language whose articles and word borders the scores follow (ISO 639 code, zh-cmrc); en is the official one."""
    json: Json = False
    """Print the scores as JSON."""


@dataclass(frozen=True, kw_only=True)
class Cache:
    """List the features that runs have built and kept on this machine, and delete old ones."""

    cache_dir: Path | None = None
    """Folder of the cache, as features.cache-dir; none: the data sets library's cache folder."""
    prune_days: float | None = None
    """Delete what has not been used for so many days; 0: all."""
    json: Json = False
    """Print everything as one JSON object."""
