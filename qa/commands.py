"""The command line `qa`: what each command takes. Their work is in modules that are imported when they are asked for.

Exit statuses: 0 done, 1 an error of input, model or machine, 2 a wrong command line, 130 interrupted.
"""

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import tyro
from tyro.conf import Positional, arg, subcommand

from qa.config import Backend, FeaturesConfig, OnBadExample
from qa.errors import MissingPackageError, QAError, UsageError

_Json = Annotated[bool, arg(name="json")]


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
class DataFlags:
    """Which examples."""

    data: Positional[str]
    """Hub id, file, folder, or sample for the embedded data set."""
    split: str = "validation"
    """Split, where the source has splits."""
    data_name: str | None = None
    """Configuration of a hub data set that has several."""
    data_revision: str | None = None
    """Branch, tag or commit of a hub data set."""
    on_bad_example: OnBadExample = "error"
    """Stop at a bad example, skip it, or move an answer to its nearest occurrence in the context."""
    max_examples: int | None = None
    """Examples taken, spread evenly over the set; none: all."""


@dataclass(frozen=True, kw_only=True)
class ReadingFlags:
    """How contexts are read; what is left out is as the model was trained."""

    # Dataclasses list the fields of the last base first, and positional arguments come in that order: so models, data
    # and this are inherited from right to left.

    max_answer_length: int | None = None
    """Longest answer, in tokens."""
    max_length: int | None = None
    """Longest window, in tokens."""
    doc_stride: int | None = None
    """Tokens that neighbouring windows share."""
    batch_size: int | None = None
    """Most windows per forward pass; on a CPU fewer are together if they are long."""
    no_answer: bool | float | None = None
    """Whether "no answer" is possible, or the log odds above which it is the answer."""
    align_to_words: bool = False
    """Let answers end at the borders of words only."""


@dataclass(frozen=True, kw_only=True)
class Ask(ReadingFlags, ModelFlags):
    """Answer a question from a text: the answer marked in it, and the n-best answers.

    The text is read from standard input when neither --context nor --file is given. Without --question, questions are
    asked for one by one.
    """

    runner: ClassVar[str] = "qa.asking"
    question: str | None = None
    """The question; none: asked for, until an empty line."""
    context: str | None = None
    """The text that may hold the answer."""
    file: Path | None = None
    """File with that text, in UTF-8."""
    top_k: int = 5
    """Answers shown."""
    json: _Json = False
    """Print one JSON object a question."""


@dataclass(frozen=True, kw_only=True)
class Predict(ReadingFlags, DataFlags, ModelFlags):
    """Answer all examples of a data set; one JSON object a line, in the order of the examples."""

    runner: ClassVar[str] = "qa.predicting"
    out: Positional[Path]
    """File to write, JSON Lines."""
    top_k: int = 1
    """Answers an example; of more than one, all are written under `answers`."""
    json: _Json = False
    """Print the summary as JSON."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """Score predictions with the official metrics of SQuAD v1.1, or v2.0 if some example has no answer."""

    runner: ClassVar[str] = "qa.scoring"
    references: Positional[str]
    """Hub id, file, folder, or sample for the embedded data set."""
    predictions: Positional[Path]
    """What `qa predict` wrote, or the official JSON of answers by example id."""
    null_odds: Path | None = None
    """JSON of null odds (or no-answer probabilities) by example id, for official predictions of v2.0."""
    threshold: float | None = None
    """Null odds above which a prediction counts as "no answer"; none: only empty predictions do."""
    split: str = "validation"
    """Split of the references, where the source has splits."""
    language: str = "en"
    """Language whose articles and word borders the scores follow (ISO 639-1 code); en is the official one."""
    json: _Json = False
    """Print the scores as JSON."""


@dataclass(frozen=True, kw_only=True)
class Inspect(DataFlags):
    """Look into a data set: counts, lengths, windows an example, problems, and some examples with the answer marked."""

    runner: ClassVar[str] = "qa.inspection"
    on_bad_example: OnBadExample = "skip"
    """Stop at a bad example, skip it, or move an answer to its nearest occurrence in the context."""
    model: str = "minilm"
    """Model whose tokenizer counts: hub id, folder, or minilm for the embedded one."""
    max_length: int = FeaturesConfig.max_length
    """Longest window, in tokens."""
    doc_stride: int = FeaturesConfig.doc_stride
    """Tokens that neighbouring windows share."""
    max_question_length: int = FeaturesConfig.max_question_length
    """Tokens of a question that are kept."""
    examples: int = 3
    """Examples shown, drawn at random."""
    seed: int = 0
    """Seed of that draw."""
    json: _Json = False
    """Print everything as one JSON object."""


@dataclass(frozen=True, kw_only=True)
class Calibrate(DataFlags, ModelFlags):
    """Fit the no-answer threshold and the temperature of a model on held-out examples, and save them with it.

    Both are fitted on half of the examples, chosen by a hash of their ids; what is shown is measured on the other half.
    """

    runner: ClassVar[str] = "qa.calibrating"
    batch_size: int | None = None
    """Most windows per forward pass; on a CPU fewer are together if they are long."""
    language: str = "en"
    """Language whose rules decide what is an exact match (ISO 639-1 code)."""
    save: bool = True
    """Write the fitted values into the model's folder."""
    json: _Json = False
    """Print the report as JSON."""


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write a model as ONNX files, in float32 and with 8-bit weights, and compare them with PyTorch on examples."""

    runner: ClassVar[str] = "qa.exporting"
    model: Positional[str]
    """Folder of a trained model, or hub id."""
    revision: str | None = None
    """Branch, tag or commit of a hub model."""
    out: Path | None = None
    """Folder that gets onnx/ and what else it takes to answer; none: the model's own, which gets onnx/."""
    data: str = "sample"
    """Examples to compare on: hub id, file, folder, or sample for the embedded data set."""
    split: str = "validation"
    """Split, where the source has splits."""
    max_examples: int = 200
    """Examples taken, spread evenly over the set."""
    json: _Json = False
    """Print the comparison as JSON."""


@dataclass(frozen=True, kw_only=True)
class Serve(ModelFlags):
    """Serve a model over HTTP: POST /answer and /search, GET /health and /metrics, a page at / and the API's at /docs.

    Listens on this machine only unless told otherwise: there is no authentication. Ends at SIGINT or SIGTERM, when the
    requests that have come are answered.
    """

    runner: ClassVar[str] = "qa.serving.command"
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = 8000
    """Port to listen on; 0: any free one."""
    max_waiting: int = 256
    """Questions and passages, of all clients, that may wait; more are answered 503 at once."""
    max_body_bytes: int = 1 << 20
    """Largest request."""
    timeout: float = 30.0
    """Seconds from a request to its answer."""


Command = (
    Annotated[Ask, subcommand("ask")]
    | Annotated[Predict, subcommand("predict")]
    | Annotated[Score, subcommand("score")]
    | Annotated[Inspect, subcommand("inspect")]
    | Annotated[Calibrate, subcommand("calibrate")]
    | Annotated[Export, subcommand("export")]
    | Annotated[Serve, subcommand("serve")]
)


_EXTRAS = {
    Export: ("onnx", ("onnx", "onnxruntime", "onnxscript")),
    Serve: ("serve", ("fastapi", "fastapi_offline", "prometheus_client", "uvicorn")),
}
"""Packages that a command needs besides the project's own, and the extra that installs them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments (by default those of the process) name; return the exit status.

    Exits like any command line tool, with status 2, on a wrong command line, and on `--help`.
    """
    command: Ask | Predict | Score | Inspect | Calibrate | Export | Serve = tyro.cli(
        Command,
        args=arguments,
        prog="qa",
        config=(tyro.conf.PositionalMetavarFromFieldName,),
        description="Use extractive question-answering readers.",
    )
    try:
        _require_packages(command)
        importlib.import_module(command.runner).run(command)
    except UsageError as error:
        return _failed(error, 2)
    except QAError as error:
        return _failed(error, 1)
    except KeyboardInterrupt:
        return 130
    return 0


def _require_packages(command: object) -> None:
    extra, packages = _EXTRAS.get(type(command), ("", ()))
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        raise MissingPackageError(f"not installed: {', '.join(missing)}; install them with: pip install 'qa[{extra}]'")


def _failed(error: QAError, status: int) -> int:
    print(f"error: {error}", file=sys.stderr)  # noqa: T201
    return status
