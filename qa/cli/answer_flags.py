"""What the commands that answer take: their part of --help."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from qa.cli.flags import DataFlags, Json, ModelFlags, OnBadExampleFlag, OutputFlags, ReadingFlags
from qa.config import Backend


@dataclass(frozen=True, kw_only=True)
class Ask:
    """Answer a question from a text: the answer marked in it, and the n-best answers.

    The text is read from standard input when neither --context nor --file is given. Without --question, questions are
    asked for one by one.
    """

    model: ModelFlags
    question: str | None = None
    """The question; none: asked for, until an empty line, or read from standard input, one a line."""
    context: str | None = None
    """The text that may hold the answer."""
    file: Path | None = None
    """File with that text, in UTF-8; "-": standard input."""
    top_k: int | None = None
    """Answers shown, at most; none: 5, or every one where all are wanted."""
    reading: ReadingFlags = field(default_factory=ReadingFlags)
    json: Json = False
    """Print one JSON object per question."""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Say where sources have each quotation and sentence of an answer, or each quote.

    verbatim: character for character. moved: but for white space, case, quotation marks, hyphens at line ends, or a
    marked omission. paraphrased: with --model, a reader finds a detail of it. unsupported: none of these.
    """

    sources: Positional[tuple[Path, ...]]
    """Files of the sources, in UTF-8; "-": standard input."""
    answer: str | None = None
    """The answer; none: --file, --quotes or standard input."""
    file: Path | None = None
    """File of the answer, in UTF-8."""
    quotes: tuple[str, ...] = ()
    """Quotes, each looked for as it is, in place of an answer."""
    model: str | None = None
    """Folder of a trained model, or hub id, that looks for paraphrases; none: paraphrases are unsupported."""
    backend: Backend = "torch"
    """What runs it: PyTorch, or onnxruntime with a file that `qa export` made."""
    min_score: float = 0.5
    """Least certainty of a paraphrase, 0 to 1."""
    json: Json = False
    """Print one JSON object per quote."""


@dataclass(frozen=True, kw_only=True)
class EngineFlags:
    """Millions of rows, shard by shard."""

    engine: Literal["local", "ray", "spark"] | None = None
    """Answer all rows of JSON Lines or Parquet, a file or a folder of them, into a folder of files that any engine
    makes alike; a bad row gets an error in the place of an answer. local: the processes of accelerate launch."""
    workers: int | None = None
    """Actors of Ray, or threads of a Spark on this machine; none: as many as the cluster has cores."""
    keep: tuple[str, ...] | None = None
    """Columns of the rows that an engine writes beside the answers; none: all."""


@dataclass(frozen=True, kw_only=True)
class Predict:
    """Answer all examples of a data set; one JSON object per line, in the order of the examples."""

    model: ModelFlags
    data: DataFlags
    on_bad_example: OnBadExampleFlag = "error"
    output: OutputFlags
    top_k: int | None = None
    """Answers per example, at most, written under `answers` where there may be several; none: 1, or every one where all
    are wanted."""
    reading: ReadingFlags = field(default_factory=ReadingFlags)
    engine: EngineFlags = field(default_factory=EngineFlags)
    json: Json = False
    """Print the summary as JSON."""


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """How the model runs."""

    revision: str | None = None
    """Branch, tag or commit of a hub model; none: QA_REVISION."""
    device: str | None = None
    """Device, such as cpu or cuda:1; none: QA_DEVICE, else the accelerator if there is one."""
    dtype: str | None = None
    """Precision, such as bfloat16; none: QA_DTYPE, else float32."""
    backend: Backend | None = None
    """What runs it: PyTorch, or onnxruntime with a file that `qa export` made; none: QA_BACKEND, else torch."""


@dataclass(frozen=True, kw_only=True)
class Listening:
    """Where the service listens, and what it says."""

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


@dataclass(frozen=True, kw_only=True)
class ServiceLimits:
    """What requests may take."""

    max_waiting: int | None = None
    """Pending questions and passages of all clients; beyond these, requests get status 503 at once; none:
    QA_MAX_WAITING, else 256."""
    max_body_bytes: int | None = None
    """Largest request; none: QA_MAX_BODY_BYTES, else 6 MiB, enough for the longest text in any notation."""
    timeout: float | None = None
    """Seconds for a request to arrive, and then for its answer; none: QA_TIMEOUT, else 30."""
    header_timeout: float | None = None
    """Seconds from the opening of a connection to the end of a request's headers; none: QA_HEADER_TIMEOUT, else 10."""
    keep_alive: float | None = None
    """Seconds that a connection waits for its next request; more than a proxy in front keeps it, which else answers 502
    now and then (Google Cloud's load balancer: 600); none: QA_KEEP_ALIVE, else 125."""
    max_connections: int | None = None
    """Connections open at once; one more closes the one longest without a request; none: QA_MAX_CONNECTIONS, else
    256."""


@dataclass(frozen=True, kw_only=True)
class Serve:
    """Serve a model over HTTP: POST /answer, /search, /evidence and /ground, GET /health, /ready and /metrics, a page.

    Listens on this machine only unless told otherwise: there is no authentication. Ends at SIGINT or SIGTERM, when the
    requests that have come are answered. What no flag says is read from the environment: QA_PORT for --port, and so on.
    """

    model: Positional[str | None] = None
    """Folder of a trained model, or hub id; none: QA_MODEL."""
    running: ServedModel = ServedModel()
    listening: Listening = Listening()
    limits: ServiceLimits = ServiceLimits()
