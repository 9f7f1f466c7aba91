"""reader.json: how a trained reader is used. The only code that reads or writes it."""

import json
import logging
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

from huggingface_hub import hf_hub_download
from pydantic import Field, FiniteFloat, TypeAdapter, ValidationError
from transformers import PreTrainedTokenizerBase

from qa.config import Answers, Choice, DecodingConfig, FeaturesConfig, Head, RunConfig, Search
from qa.errors import ConfigError, ModelError
from qa.features.joining import PAD_MULTIPLE
from qa.files import write_json

log = logging.getLogger(__name__)

SETTINGS_FILE = "reader.json"
"""File of a saved model's folder."""
FORMAT = 2
"""Counts changes of what is saved: since 2 a head of tokens says where answers begin and end. No number: 1."""

_Factor = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True, kw_only=True)
class ReaderSettings:
    """How a trained reader is to be used; saved with it."""

    max_length: int
    doc_stride: int
    max_question_length: int
    n_best: int
    max_answer_tokens: int
    search: Search
    length_cost: FiniteFloat = 0.0
    """What an answer's score loses for every token after its first, in log odds; 0 where `search` is not exact."""
    choice: Choice = "likeliest"
    """Which candidate is the answer; see `DecodingConfig.choice`."""
    null_possible: bool
    """Whether it was trained, or evaluated, on questions that the context does not answer."""
    no_answer_threshold: float = 0.0
    """Null odds above which the answer is "no answer"; fitted on the validation data."""
    temperature: _Factor = 1.0
    """What scores are divided by before they become probabilities; fitted by `qa calibrate`."""
    confidence_slope: _Factor = 1.0
    """What the log odds of an answer's probability are multiplied by to say how likely it is right; fitted with it."""
    confidence_shift: FiniteFloat = 0.0
    """What is then added, in log odds."""
    lexical_weight: float = 0.0
    """What BM25 counts beside log odds when passages are ranked; fitted by `qa calibrate --searches`."""
    head: Head = "spans"
    """What the logits of a token say."""
    answers: Answers = "any"
    """Whether one answer to a question is wanted, or all."""
    format: int = FORMAT


DEFAULT_SETTINGS = ReaderSettings(
    max_length=FeaturesConfig.max_length,
    doc_stride=FeaturesConfig.doc_stride,
    max_question_length=FeaturesConfig.max_question_length,
    n_best=DecodingConfig.n_best,
    max_answer_tokens=DecodingConfig.max_answer_tokens,
    search=DecodingConfig.search,
    null_possible=False,
)
"""How a model is used that says nothing about it."""


def default_settings(tokenizer: PreTrainedTokenizerBase, positions: int | None) -> ReaderSettings:
    """Return how a model is used that says nothing about it, in windows that it and its tokenizer take.

    Args:
        tokenizer: the model's.
        positions: longest window that the model takes, in tokens; None: it does not say.

    """
    usual = DEFAULT_SETTINGS
    length = min(usual.max_length, positions or usual.max_length, tokenizer.model_max_length)
    length = length // PAD_MULTIPLE * PAD_MULTIPLE or length  # what batches are padded to must fit too
    third = max(length // 3, 1)
    shares = {name: min(getattr(usual, name), third) for name in ("doc_stride", "max_question_length")}
    return replace(usual, max_length=length, **shares)


def settings_of(config: RunConfig, *, null_possible: bool, threshold: float) -> ReaderSettings:
    """Return how the model of a run is to be used."""
    return ReaderSettings(
        max_length=config.features.max_length,
        doc_stride=config.features.doc_stride,
        max_question_length=config.features.max_question_length,
        n_best=config.decoding.n_best,
        max_answer_tokens=config.decoding.max_answer_tokens,
        search=config.decoding.search,
        length_cost=config.decoding.length_cost or 0.0,
        choice=config.decoding.choice or "likeliest",
        null_possible=null_possible,
        no_answer_threshold=threshold,
        head=config.head,
        answers=config.data.answers,
    )


def head_of(config: RunConfig, settings: ReaderSettings | None) -> Head:
    """Return the head of a run's model: its own where it is only evaluated, else the one that it is to learn."""
    return settings.head if config.training.max_steps == 0 and settings is not None else config.head


def decoding_of(config: RunConfig, settings: ReaderSettings) -> DecodingConfig:
    """Return how answers are chosen: as asked; else as a reader says that is only evaluated, in an exact search."""
    asked, names = config.decoding, ("length_cost", "choice")
    own = {name: getattr(settings, name) for name in names if getattr(asked, name) is None}
    if config.training.max_steps == 0 and asked.search == "exact":
        return replace(asked, **own)
    for name, value in own.items():
        if value != getattr(DEFAULT_SETTINGS, name):
            log.info(
                "the model's %s %s is not used: training, and a search that is not exact, begin without", name, value
            )
    return asked


def null_is_possible(settings: ReaderSettings | None, *, asked: bool | None, has_impossible: bool) -> bool:
    """Decide whether "no answer" is possible: what is asked for; else what the reader says; else what the data says.

    So training and `qa predict` answer alike, whatever the references of the examples are.

    Args:
        settings: the reader's; None where nothing says how it was trained, or it is being trained.
        asked: what a command or configuration says; None: nothing.
        has_impossible: whether the data that it is trained and evaluated on has questions without an answer.

    """
    if asked is not None:
        return asked
    return has_impossible if settings is None else settings.null_possible


def save_settings(settings: ReaderSettings, folder: Path) -> None:
    """Write the settings into a model's folder.

    Raises:
        StorageError: they cannot be written.

    """
    write_json(folder / SETTINGS_FILE, asdict(settings))


def load_settings(folder: Path) -> ReaderSettings | None:
    """Read the settings from a model's folder; None for a model without them.

    Raises:
        ModelError: the file is there but not what a run writes, or of a format that this version does not know.

    """
    path = folder / SETTINGS_FILE
    if not path.is_file():
        return None
    content = path.read_bytes()
    try:
        settings: ReaderSettings = TypeAdapter(ReaderSettings).validate_json(content)
        decoding = DecodingConfig(search=settings.search, length_cost=settings.length_cost, choice=settings.choice)
        decoding.require_choice(settings.head, settings.answers)
    except (ValidationError, ConfigError) as error:
        raise ModelError(f"{path} is not what a run saves: {error}") from error
    if settings.format > FORMAT:
        raise ModelError(
            f"{path} has format {settings.format}; wanted {FORMAT} at most: a newer version has written it"
        )
    if settings.head == "tokens" and "format" not in json.loads(content):
        raise ModelError(
            f"{path} is of a head of tokens that says which tokens go on with an answer; wanted format {FORMAT}, which "
            "says where answers end: train it again"
        )
    return settings


def find_settings(source: str, *, revision: str | None = None) -> ReaderSettings | None:
    """Read the settings of a folder or a hub model; None where there are none, or no hub to ask.

    Raises:
        ModelError: the file is there but not what a run writes.

    """
    path = find_file(source, SETTINGS_FILE, revision=revision)
    return None if path is None else load_settings(path.parent)


def find_file(source: str, name: str, *, revision: str | None = None) -> Path | None:
    """Return a file that stands beside the weights, in a folder or at the hub; None without such a file, or the hub."""
    if Path(source).is_dir():
        path = Path(source) / name
        return path if path.is_file() else None
    try:
        return Path(hf_hub_download(source, name, revision=revision))
    except (OSError, ValueError):  # no such file, model, name or network: what is wrong, loading the model will tell
        return None
