"""What several commands take: groups of flags that their own are composed of."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from qa.config import Answers, Backend, OnBadExample

Json = Annotated[bool, arg(name="json")]
OnBadExampleFlag = Annotated[
    OnBadExample,
    arg(help="Stop at a bad example, skip it, or repair it: find the places of its answers, make its id unique, …"),
]
ReferencesFlag = Annotated[
    Literal["spans", "texts"],
    arg(help="What references are for: spans to train on, or texts to score against, which need no place."),
]


@dataclass(frozen=True, kw_only=True)
class ModelFlags:
    """Which model, and where it runs."""

    model: Positional[str]
    """Folder of a trained model, or hub id."""
    revision: str | None = None
    """Branch, tag or commit of a hub model."""
    device: str | None = None
    """Device, such as cpu or cuda:1; none: the accelerator if there is one."""
    dtype: str | None = None
    """Precision, such as bfloat16; none: float32."""
    backend: Backend = "torch"
    """What runs it: PyTorch, or onnxruntime with a file that `qa export` made, in float32 or with 8-bit weights."""


@dataclass(frozen=True, kw_only=True)
class ReadingFlags:
    """How contexts are read; by default as in training."""

    max_answer_length: int | None = None
    """Longest answer, in tokens."""
    max_length: int | None = None
    """Longest window, in tokens."""
    doc_stride: int | None = None
    """Tokens that neighbouring windows share."""
    max_question_length: int | None = None
    """Tokens of a question that are read; none: three quarters of a window."""
    batch_size: int | None = None
    """Most windows per forward pass; on a CPU, long windows go in smaller batches."""
    no_answer: bool | float | None = None
    """Whether "no answer" is possible, or the log odds above which it is the answer."""
    align_to_words: bool = False
    """Let answers end only at the borders of words."""
    overlap: float | None = None
    """Largest share of an answer that may overlap a better one (0: no overlap); none: all are listed."""
    answers: Answers | None = None
    """any: the best answers, --top-k of them; all: every disjoint one that stands against "no answer" by itself, or
    none, where --no-answer may say above which log odds a span is none; none: as the model was trained."""


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
    """Go on where an interrupted command ended; its lines are in the file whose name ends with .part."""


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
