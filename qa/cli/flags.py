"""What every command takes: all of --help."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg, subcommand

from qa.cli.data_flags import (
    Convert,
    DataFlags,
    OnBadExampleFlag,
    OutputFlags,
    Split,
)
from qa.cli.experiment_flags import Adapt, Compare, Crossval, Errors, Sweep
from qa.cli.start_flags import Configs, Demo, Train, Tutorial
from qa.config import Backend, FeaturesConfig

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
class ReadingFlags:
    """How contexts are read; what is left out is as the model was trained."""

    max_answer_length: int | None = None
    """Longest answer, in tokens."""
    max_length: int | None = None
    """Longest window, in tokens."""
    doc_stride: int | None = None
    """Tokens that neighbouring windows share."""
    max_question_length: int | None = None
    """Tokens of a question that are read; none: three quarters of a window."""
    batch_size: int | None = None
    """Most windows per forward pass; on a CPU fewer are together if they are long."""
    no_answer: bool | float | None = None
    """Whether "no answer" is possible, or the log odds above which it is the answer."""
    align_to_words: bool = False
    """Let answers end at the borders of words only."""
    overlap: float | None = None
    """Largest share of an answer that it may have in common with a better one (0: none); none: all are listed."""


@dataclass(frozen=True, kw_only=True)
class Ask:
    """Answer a question from a text: the answer marked in it, and the n-best answers.

    The text is read from standard input when neither --context nor --file is given. Without --question, questions are
    asked for one by one.
    """

    model: ModelFlags
    question: str | None = None
    """The question; none: asked for, until an empty line."""
    context: str | None = None
    """The text that may hold the answer."""
    file: Path | None = None
    """File with that text, in UTF-8."""
    top_k: int = 5
    """Answers shown."""
    reading: ReadingFlags = ReadingFlags()
    json: _Json = False
    """Print one JSON object per question."""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Say of each quotation and sentence of an answer, or of quotes, where sources have it.

    verbatim: character for character. moved: but for white space, case, quotation marks, hyphens at line ends, or a
    marked omission. paraphrased: with --model, a reader finds a detail of it. unsupported: none of these.
    """

    sources: Positional[tuple[Path, ...]]
    """Files of the sources, in UTF-8."""
    answer: str | None = None
    """The answer; none: --file, --quotes or standard input."""
    file: Path | None = None
    """File of the answer, in UTF-8."""
    quotes: tuple[str, ...] = ()
    """Quotes, each looked for as it is, in place of an answer."""
    model: str | None = None
    """Folder of a trained model, or hub id, that looks for paraphrases; none: they are unsupported."""
    backend: Backend = "torch"
    """What runs it: PyTorch, or onnxruntime with a file that `qa export` made."""
    min_score: float = 0.5
    """Least certainty of a paraphrase, 0 to 1."""
    json: _Json = False
    """Print one JSON object per quote."""


@dataclass(frozen=True, kw_only=True)
class Predict:
    """Answer all examples of a data set; one JSON object per line, in the order of the examples."""

    model: ModelFlags
    data: DataFlags
    on_bad_example: OnBadExampleFlag = "error"
    output: OutputFlags
    top_k: int = 1
    """Answers per example; of more than one, all are written under `answers`."""
    reading: ReadingFlags = ReadingFlags()
    json: _Json = False
    """Print the summary as JSON."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """Score predictions with the official metrics of SQuAD v1.1, or v2.0 if some example has no answer."""

    references: Positional[str]
    """Hub id, file, folder, or sample for the embedded data set."""
    predictions: Positional[Path]
    """What `qa predict` wrote, or the official JSON of answers by example id."""
    null_odds: Path | None = None
    """JSON of null odds (or no-answer probabilities) by example id, for official predictions of v2.0."""
    threshold: float | Literal["official"] | None = None
    """Null odds above which a prediction counts as "no answer" (official: 1, as the script of v2.0 has it); none: only
    empty predictions do."""
    missing: Literal["error", "zero"] = "error"
    """Ids that only references or only predictions have: an error, or 0 and nothing, as in the official scripts."""
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
    json: _Json = False
    """Print the scores as JSON."""


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
    """Examples to look into instead: their windows, with the place, the label and the tokens of each."""
    longest: int = 0
    """Examples with the longest contexts that are named, with their tokens and windows."""
    json: _Json = False
    """Print everything as one JSON object."""


@dataclass(frozen=True, kw_only=True)
class Calibrate:
    """Fit the no-answer threshold and the temperature of a model on held-out examples, and save them with it.

    Both are fitted on half of the examples, chosen by a hash of their ids; what is shown is measured on the other half.
    A value that does no better there is not saved, and none is with fewer than 50 examples.
    """

    model: ModelFlags
    data: DataFlags
    on_bad_example: OnBadExampleFlag = "error"
    batch_size: int | None = None
    """Most windows per forward pass; on a CPU fewer are together if they are long."""
    language: str = "en"
    """Language whose rules decide what is an exact match (ISO 639 code, zh-cmrc)."""
    searches: int = 0
    """Questions that are also searched for in all passages of their title, to fit what shared words (BM25) count in
    searches; 0: none."""
    save: bool = True
    """Write the fitted values into the model's folder."""
    json: _Json = False
    """Print the report as JSON."""


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write a model as ONNX files, in float32 and with 8-bit weights, and compare them with PyTorch on examples."""

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
class Trim:
    """Write a model with the part of its vocabulary that texts use; it reads these as before, and is smaller.

    Of a multilingual model the embeddings are most of the parameters. What the texts do not hold is split into smaller
    tokens, and characters that they lack are unknown.
    """

    model: Positional[str]
    """Folder of a saved model, hub id, or minilm or multilingual, which packages carry."""
    out: Positional[Path]
    """New folder that gets the smaller model."""
    data: Positional[tuple[str, ...]]
    """Where questions and contexts are that it will read: hub ids, files, folders, sample, sample:zh …"""
    split: str = "train"
    """Split, where a source has splits."""
    revision: str | None = None
    """Branch, tag or commit of a hub model."""
    json: _Json = False
    """Print the summary as JSON."""


@dataclass(frozen=True, kw_only=True)
class Serve:
    """Serve a model over HTTP: POST /answer, /search, /evidence and /ground, GET /health, /ready and /metrics, a page.

    Listens on this machine only unless told otherwise: there is no authentication. Ends at SIGINT or SIGTERM, when the
    requests that have come are answered. What no flag says is read from the environment: QA_PORT for --port, and so on.
    """

    model: Positional[str | None] = None
    """Folder of a trained model, or hub id; none: QA_MODEL."""
    revision: str | None = None
    """Branch, tag or commit of a hub model; none: QA_REVISION."""
    device: str | None = None
    """Device, such as cpu or cuda:1; none: QA_DEVICE, else the accelerator if there is one."""
    dtype: str | None = None
    """Precision, such as bfloat16; none: QA_DTYPE, else float32."""
    backend: Backend | None = None
    """What runs it: PyTorch, or onnxruntime with a file that `qa export` made; none: QA_BACKEND, else torch."""
    host: str | None = None
    """Address to listen on; none: QA_HOST, else 127.0.0.1."""
    port: int | None = None
    """Port to listen on; 0: any free one; none: QA_PORT, else 8000."""
    root_path: str | None = None
    """Path prefix under which a proxy serves it, such as /qa; none: QA_ROOT_PATH, else no prefix."""
    cors_origins: tuple[str, ...] | None = None
    """Origins, such as https://example.org, whose pages may ask; none: QA_CORS_ORIGINS (with spaces between), else no
    other."""
    access_log: bool | None = None
    """Log every request, as a line of JSON on standard error; none: QA_ACCESS_LOG, else yes."""
    max_waiting: int | None = None
    """Questions and passages, of all clients, that are not answered yet; more get status 503 at once; none:
    QA_MAX_WAITING, else 256."""
    max_body_bytes: int | None = None
    """Largest request; none: QA_MAX_BODY_BYTES, else 6 MiB, which hold the longest text however it is written."""
    timeout: float | None = None
    """Seconds for a request to arrive, and then for its answer; none: QA_TIMEOUT, else 30."""
    header_timeout: float | None = None
    """Seconds from the opening of a connection to the end of a request's headers; none: QA_HEADER_TIMEOUT, else 10."""
    max_connections: int | None = None
    """Connections open at once; one more closes the oldest without a request; none: QA_MAX_CONNECTIONS, else 256."""


@dataclass(frozen=True, kw_only=True)
class Cache:
    """List the features that runs have built and kept on this machine, and delete old ones."""

    cache_dir: Path | None = None
    """Folder of the cache, as features.cache-dir; none: the data sets library's cache folder."""
    prune_days: float | None = None
    """Delete what was not used for so many days; 0: all."""
    json: _Json = False
    """Print everything as one JSON object."""


@dataclass(frozen=True, kw_only=True)
class ExportCheckpoint:
    """Make a model that loads anywhere of a checkpoint of a run, such as runs/mine/checkpoints/step-00000400.

    The no-answer threshold is the one that the run began with: it is fitted by evaluations, see `qa calibrate`.
    """

    checkpoint: Positional[Path]
    """Folder of the checkpoint; its run folder, two levels up, says which model and tokenizer it began with."""
    output: Positional[Path]
    """Folder to make."""
    weights: Literal["auto", "trained", "averaged"] = "auto"
    """The weights as trained, or their average where the recipe keeps one; auto: the average if there is one."""
    overwrite: bool = False
    """Replace a folder that is there."""


Command = (
    Annotated[Demo, subcommand("demo")]
    | Annotated[Train, subcommand("train")]
    | Annotated[Configs, subcommand("configs")]
    | Annotated[Ask, subcommand("ask")]
    | Annotated[Ground, subcommand("ground")]
    | Annotated[Predict, subcommand("predict")]
    | Annotated[Score, subcommand("score")]
    | Annotated[Inspect, subcommand("inspect")]
    | Annotated[Convert, subcommand("convert")]
    | Annotated[Split, subcommand("split")]
    | Annotated[Calibrate, subcommand("calibrate")]
    | Annotated[Export, subcommand("export")]
    | Annotated[Trim, subcommand("trim")]
    | Annotated[Serve, subcommand("serve")]
    | Annotated[Sweep, subcommand("sweep")]
    | Annotated[Compare, subcommand("compare")]
    | Annotated[Errors, subcommand("errors")]
    | Annotated[Adapt, subcommand("adapt")]
    | Annotated[Crossval, subcommand("crossval")]
    | Annotated[Tutorial, subcommand("tutorial")]
    | Annotated[Cache, subcommand("cache")]
    | Annotated[ExportCheckpoint, subcommand("export-checkpoint")]
)
