"""What competes: generators that prepare something, do it once to warm up, and then once for every `next`.

Each `next` gives the amount done (rows, examples, …), or what was measured if that is not a rate. `ours_*` go through
the same functions as `train_qa.py`; `theirs_*` are the classic recipe. Every one runs in a process of its own.
"""

import dataclasses
import itertools
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import datasets
import numpy as np
import torch
from accelerate import Accelerator
from transformers import DistilBertConfig, DistilBertForQuestionAnswering

from qa import metrics
from qa.config import DecodingConfig, FeaturesConfig, RunConfig, TrainingConfig
from qa.data import load_training_examples, load_validation_examples
from qa.decoding.predictions import Predictions
from qa.decoding.spans import find_spans
from qa.features import cached_features, cached_labels
from qa.features.collation import collate
from qa.features.joining import PAD_MULTIPLE
from qa.features.loader import batch_loader
from qa.features.order import evaluation_batches
from qa.features.windows import Encoder, build_features
from qa.files import write_json
from qa.modeling import span_loss
from qa.modeling.quirks import model_inputs
from qa.modeling.reader import Reader, load_reader
from qa.runtime.accelerator import make_accelerator
from qa.training import TrainingLoop, build_optimizer, plan_training, prepare
from tests.benchmarks import baselines

WINDOW = FeaturesConfig(max_length=384, doc_stride=128)
BATCH = 16
LEARNING_RATE = 2e-4
TIMEOUT = timedelta(minutes=10)
OUR_WARM_UP = 12
"""Steps until memory grows no more: it is mapped once and kept; the recipe's is mapped anew all the time."""
MATRIX, PRODUCTS = 2048, 100
"""Side and number of the matrix products that training is measured against; larger ones are no faster."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setup:
    """What is measured on, and how much of it at once."""

    data: str | None = None
    """Folder with train.parquet and validation.parquet; None: the embedded set."""
    rows: int = 20_000
    """For features."""
    steps: int = 10
    """Of training, a repetition."""
    forward_blocks: int = 12
    """One of so many blocks of 100 neighbours of the validation set goes through the model."""
    blocks: int = 1
    """The same for what comes after it."""
    window: int = 384
    """Tokens of the logits whose memory is measured."""
    model: str | None = None
    """Folder of a trained model, for the predictor; None: the embedded one with a new head."""
    asked: int = 200
    """Questions that the predictor answers at once."""
    predicted: int = 2000
    """Questions of a file that `qa predict` answers."""
    removed: str | None = None
    """Interpreter of an environment with the transformers that had the pipeline; None: there is none."""
    scored: int = 2000
    """Examples that F1 is measured on."""
    precision: str = "no"
    """Mixed precision of both sides."""


def run_config(setup: Setup, *, evaluates: bool = True, **changes) -> RunConfig:
    sources = {}
    if setup.data is not None:
        sources = {f"{split}_data": str(Path(setup.data) / f"{split}.parquet") for split in ("train", "validation")}
    folder = Path(tempfile.mkdtemp(prefix="qa-benchmark-"))
    features = dataclasses.replace(WINDOW, cache_dir=folder / "cache")
    if not evaluates:
        sources["validation_data"] = None
    return RunConfig(**sources, output_dir=folder, features=features, **changes)


def columns(rows) -> dict[str, list]:
    return {name: list(rows[name]) for name in ("question", "context", "answers")}


def neighbours(rows, blocks: int):
    """Some hundreds of rows in the order of the data set: its neighbours are about the same context."""
    return rows.select([at for at in range(len(rows)) if (at // 100) % blocks == 0])


def minilm() -> Reader:
    torch.manual_seed(0)
    return load_reader("minilm", max_length=WINDOW.max_length)


def distilbert() -> Reader:
    """DistilBERT-base as the notebook trains it, but with weights drawn at random: they do not change what it costs."""
    tokenizer = minilm().tokenizer
    model = DistilBertForQuestionAnswering(DistilBertConfig(vocab_size=len(tokenizer)))
    encoder = Encoder.of(tokenizer)
    return Reader(model=model, tokenizer=tokenizer, input_names=model_inputs(model), encoder=encoder, settings=None)


def ours_accelerator(setup: Setup, config: RunConfig) -> Accelerator:
    os.environ["ACCELERATE_MIXED_PRECISION"] = setup.precision  # as the launcher tells it
    return make_accelerator(trackers=(), folder=config.output_dir, timeout=TIMEOUT)


def theirs_model(precision: str):
    """Return the reader's model as the script's accelerator prepares it."""
    reader = minilm()
    return Accelerator(mixed_precision=precision, cpu=True).prepare(reader.model), reader.tokenizer


# --- features -----------------------------------------------------------------------------------------------------


def training_rows(setup: Setup):
    rows = load_training_examples(run_config(setup)).rows
    return rows.select(range(min(setup.rows, len(rows))))


def ours_features(setup: Setup, *, part: int = 1) -> Iterator[float]:
    """Build the features of one of so many parts of the rows."""
    rows, tokenizer = training_rows(setup), minilm().tokenizer
    rows = rows.select(range(max(1, len(rows) // part)))
    while True:
        build_features(rows, tokenizer, WINDOW)
        yield len(rows)


def theirs_features(setup: Setup) -> Iterator[float]:
    rows, tokenizer = columns(training_rows(setup)), minilm().tokenizer
    while True:
        baselines.features(rows, tokenizer)
        yield len(rows["question"])


# --- training -----------------------------------------------------------------------------------------------------


def ours_training(setup: Setup, *, flops: bool = False, reader: Callable[[], Reader] = minilm) -> Iterator[float]:
    training = TrainingConfig(batch_size=BATCH, learning_rate=LEARNING_RATE, epochs=1000)
    config = run_config(setup, training=training, max_train_examples=4000, evaluates=False)
    accelerator = ours_accelerator(setup, config)
    steps = training_loop(accelerator, reader(), config).steps()
    for count in itertools.chain([OUR_WARM_UP], itertools.repeat(setup.steps)):
        reports = list(itertools.islice(steps, count))
        yield sum(report.flops if flops else report.features for report in reports)


def training_loop(accelerator: Accelerator, reader: Reader, config: RunConfig) -> TrainingLoop:
    """Make the loop as train_qa.py does."""
    examples, training = load_training_examples(config), config.training
    features = cached_features(examples, reader.encoder, config.features)
    labels = cached_labels(examples, features, config.features)
    plan = plan_training(accelerator, reader, examples, features, config)
    reader.configure_for_training(training, config.recipe, accelerator.device)
    optimizer = build_optimizer(reader.model, training, accelerator.device)
    model, optimizer = prepare(accelerator, reader, optimizer, training)
    return TrainingLoop(accelerator, model, optimizer, features, labels, plan, loss=span_loss)


def theirs_training(setup: Setup, *, pad: bool) -> Iterator[float]:
    rows = load_training_examples(run_config(setup, max_train_examples=4000)).rows
    model, tokenizer = theirs_model(setup.precision)
    windows = baselines.features(columns(rows), tokenizer, pad=pad)
    optimizer = baselines.optimizer_for(model, LEARNING_RATE)
    scheduler = baselines.linear_schedule(optimizer, warmup=0, total=100_000)
    loader = baselines.loader(windows, tokenizer, batch_size=BATCH, shuffle=True, labels=True)
    batches = itertools.chain.from_iterable(itertools.repeat(loader))
    steps = setup.steps // 2 if pad else setup.steps  # padded to the same length, all of them cost the same
    for count in itertools.chain([2], itertools.repeat(steps)):
        done = 0
        for batch in itertools.islice(batches, count):
            baselines.train_step(model, optimizer, scheduler, batch, max_norm=1.0 if pad else None)
            done += len(batch["input_ids"])
        yield done


def theirs_matmul(setup: Setup) -> Iterator[float]:
    """Large matrix products for some seconds: the arithmetic that this machine holds up as long as training does."""
    del setup
    make_accelerator(trackers=(), folder=Path(tempfile.mkdtemp()), timeout=TIMEOUT)
    left, right = torch.randn(2, MATRIX, MATRIX)
    product = torch.empty(MATRIX, MATRIX)
    while True:
        for _ in range(PRODUCTS):
            torch.mm(left, right, out=product)
        yield PRODUCTS * 2.0 * MATRIX**3


# --- evaluation ---------------------------------------------------------------------------------------------------


def ours_evaluation(setup: Setup) -> Iterator[float]:
    config = run_config(setup)
    accelerator = ours_accelerator(setup, config)
    reader = minilm()
    features = build_features(validation_rows(setup, setup.forward_blocks), reader.tokenizer, WINDOW)
    model = accelerator.prepare(reader.model)
    while True:
        batches = evaluation_batches(features.lengths, config.decoding.batch_size, accelerator.device.type)
        loader = batch_loader(features, batches, input_names=reader.input_names, device=accelerator.device)
        model.train(mode=False)
        with accelerator.autocast():
            find_spans(model, loader, config.decoding, features=len(features))
        yield len(features)


def theirs_evaluation(setup: Setup, *, batch_size: int) -> Iterator[float]:
    model, tokenizer = theirs_model(setup.precision)
    windows = baselines.features(columns(validation_rows(setup, setup.forward_blocks)), tokenizer)
    while True:
        baselines.logits_of(model, windows, tokenizer, batch_size=batch_size)
        yield len(windows)


def validation_rows(setup: Setup, blocks: int):
    examples = load_validation_examples(run_config(setup))
    assert examples is not None, "the configuration names validation data"
    return neighbours(examples.rows, blocks) if setup.data is not None else examples.rows


# --- decoding and answers -----------------------------------------------------------------------------------------


def peaked_logits(lengths) -> tuple[np.ndarray, np.ndarray]:
    """Start and end logits of rows padded with −100: noise and one peak each.

    The peak is as wide as makes 116 of the pairs of the 20 best starts and ends valid, as those of a trained reader are
    (MiniLM after 10,000 examples, on the dev set).
    """
    random = np.random.default_rng(0)
    columns = np.arange(int(lengths.max()))
    first = random.integers(0, lengths)
    last = np.minimum(first + random.integers(0, 6, len(lengths)), lengths - 1)
    noise = random.normal(-4.0, 2.0, (2, len(lengths), len(columns)))
    peaks = [10.0 * np.exp(-np.abs(columns - place[:, None]) / 5.0) for place in (first, last)]
    starts, ends = np.where(columns < lengths[:, None], noise + peaks, -100.0).astype(np.float32)
    return starts, ends


class Playback(torch.nn.Module):
    """A model that gives logits made before, in the order of the batches."""

    def __init__(self, logits) -> None:
        super().__init__()
        self.logits = iter(logits)

    def forward(self, **inputs):
        del inputs
        start, end = next(self.logits)
        return SimpleNamespace(start_logits=start, end_logits=end)


def played_back(features, starts, ends, config: DecodingConfig):
    """Batches of `features`, and for each the logits that a model would give."""
    batches = [
        collate(features, indices, input_names=("input_ids",), pad_multiple=PAD_MULTIPLE)
        for indices in evaluation_batches(features.lengths, config.batch_size, "cpu")
    ]
    logits = [[padded(values, batch) for values in (starts, ends)] for batch in batches]
    return batches, logits


def padded(values, batch) -> torch.Tensor:
    rows = torch.from_numpy(values)[batch.feature, : batch.shape[1]]
    return torch.nn.functional.pad(rows, (0, batch.shape[1] - rows.shape[1]), value=-100.0)


def our_answers(features, batches, logits, rows, config: DecodingConfig):
    return Predictions.from_spans(
        find_spans(Playback(logits), batches, config, features=len(features)),
        features,
        ids=rows["id"][:],
        contexts=rows["context"][:],
        config=config,
        null_possible=True,
    )


def ours_answers(setup: Setup, *, write: bool = False) -> Iterator[float]:
    rows, config = validation_rows(setup, setup.blocks), DecodingConfig()
    folder = Path(tempfile.mkdtemp())
    make_accelerator(trackers=(), folder=folder, timeout=TIMEOUT)
    features = build_features(rows, minilm().tokenizer, WINDOW)
    batches, logits = played_back(features, *peaked_logits(features.lengths), config)
    while True:
        predictions = our_answers(features, batches, logits, rows, config)
        if write:
            write_json(folder / "nbest_predictions.json", predictions.n_best())
        yield len(features)


def theirs_answers(setup: Setup, *, write: bool = False) -> Iterator[float]:
    rows = validation_rows(setup, setup.blocks)
    windows = baselines.features(columns(rows), minilm().tokenizer)
    starts, ends = peaked_logits(np.array([len(window["input_ids"]) for window in windows]))
    starts, ends = starts.astype(np.float64), ends.astype(np.float64)
    windows = datasets.Dataset.from_list(windows)  # what the recipe's `map` gives, read row by row
    file = Path(tempfile.mkdtemp()) / "nbest_predictions.json"
    while True:
        _, _, records = baselines.answers(rows, windows, starts, ends)
        if write:
            by_id = dict(zip(rows["id"], records, strict=True))
            file.write_text(json.dumps(by_id, indent=4) + "\n", encoding="utf-8")
        yield len(windows)


# --- scores -------------------------------------------------------------------------------------------------------


def guesses(setup: Setup):
    """Ids, predicted texts, references, references of which every third list is empty, and null odds."""
    rows = validation_rows(setup, setup.blocks)
    random = np.random.default_rng(0)
    references = [answers["text"] or ["nothing"] for answers in rows["answers"]]
    texts = []
    for context, listed in zip(rows["context"], references, strict=True):
        begin = int(random.integers(0, len(context)))
        texts.append(listed[0] if random.random() < 0.5 else context[begin : begin + int(random.integers(1, 60))])
    some = [listed if at % 3 else [] for at, listed in enumerate(references)]
    return list(rows["id"]), texts, references, some, random.normal(0, 3, len(rows)).tolist()


def ours_scores(setup: Setup) -> Iterator[float]:
    ids, texts, references, some, odds = guesses(setup)
    texts, references, some, odds = (dict(zip(ids, values, strict=True)) for values in (texts, references, some, odds))
    while True:
        metrics.score(texts, references)
        metrics.score(texts, some, null_odds=odds)
        yield len(ids)


def theirs_scores(setup: Setup) -> Iterator[float]:
    ids, texts, references, some, odds = guesses(setup)
    while True:
        baselines.v1_scores(texts, references)
        baselines.v2_scores(texts, some, odds)
        yield len(ids)
