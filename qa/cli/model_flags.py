"""What the commands that change or write models take: their part of --help."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from qa.cli.flags import DataFlags, Json, ModelFlags, OnBadExampleFlag


@dataclass(frozen=True, kw_only=True)
class Calibrate:
    """Fit the no-answer threshold and the confidence of a model on held-out examples, and save them with it.

    Everything is fitted on half of the examples, chosen by a hash of their ids; what is shown is measured on the other
    half. What does no better there is not saved; with fewer than 50 examples, nothing is.
    """

    model: ModelFlags
    data: DataFlags
    on_bad_example: OnBadExampleFlag = "error"
    batch_size: int | None = None
    """Most windows per forward pass; on a CPU, long windows go in smaller batches."""
    language: str = "en"
    """Language whose rules decide what is an exact match (ISO 639 code, zh-cmrc)."""
    searches: int = 0
    """Questions that are also searched for in all passages of their title, to fit the weight of shared words (BM25) in
    searches; 0: none."""
    save: bool = True
    """Write the fitted values into the model's folder."""
    json: Json = False
    """Print the report as JSON."""


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write a model as ONNX files, in float32 and with 8-bit weights, and compare them with PyTorch on examples."""

    model: Positional[str]
    """Folder of a trained model, or hub id."""
    revision: str | None = None
    """Branch, tag or commit of a hub model."""
    out: Path | None = None
    """Folder for onnx/ and all else that answering takes; none: the model's own, which gets onnx/."""
    data: str = "sample"
    """Examples to compare on: hub id, file, folder, or sample for the embedded data set."""
    split: str = "validation"
    """Split, where the source has splits."""
    max_examples: int = 200
    """Examples taken, spread evenly over the set."""
    json: Json = False
    """Print the comparison as JSON."""


@dataclass(frozen=True, kw_only=True)
class Trim:
    """Write a smaller model with only the vocabulary that texts use; it reads these texts as before.

    Most parameters of a multilingual model are embeddings. Words that the texts lack are split into smaller tokens, and
    characters that they lack are unknown.
    """

    model: Positional[str]
    """Folder of a saved model, hub id, or minilm or multilingual, which packages carry."""
    out: Positional[Path]
    """New folder that gets the smaller model."""
    data: Positional[tuple[str, ...]]
    """Questions and contexts like those that it will read: hub ids, files, folders, sample, sample:zh …"""
    split: str = "train"
    """Split, where a source has splits."""
    revision: str | None = None
    """Branch, tag or commit of a hub model."""
    json: Json = False
    """Print the summary as JSON."""


@dataclass(frozen=True, kw_only=True)
class ExportCheckpoint:
    """Turn a checkpoint of a run, such as runs/mine/checkpoints/step-00000400, into a model that loads anywhere.

    The no-answer threshold is the one that the run began with; `qa calibrate` fits it.
    """

    checkpoint: Positional[Path]
    """Folder of the checkpoint; its run folder, two levels up, says which model and tokenizer it began with."""
    output: Positional[Path]
    """Folder to make."""
    weights: Literal["auto", "trained", "averaged"] = "auto"
    """The weights as trained, or their average where the recipe keeps one; auto: the average if there is one."""
    overwrite: bool = False
    """Replace a folder that is there."""
