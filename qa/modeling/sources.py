"""The name of a model -> where it is, and its tokenizer. Without PyTorch."""

from pathlib import Path

from safetensors import SafetensorError
from transformers import AutoTokenizer, PreTrainedTokenizerBase
from transformers.utils import CONFIG_NAME

from qa.errors import ModelError, in_a_line
from qa.files import MANIFEST, from_home, looks_like_path
from qa.modeling.artifacts import fetch_artifact, is_artifact
from qa.modeling.embedded import EMBEDDED_MODELS

LOADING_ERRORS = (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError)
"""What transformers raises for what does not load."""


def located(source: str) -> str:
    """Return the folder of an embedded model or of a path, or the hub id.

    Raises:
        ModelError: the embedded model is not installed, or a path has nothing there, or no model.

    """
    if source in EMBEDDED_MODELS:
        return str(EMBEDDED_MODELS[source].folder())
    if is_artifact(source):
        return str(fetch_artifact(source))
    path = from_home(source)
    if looks_like_path(source) and not path.exists():
        names = ", ".join(EMBEDDED_MODELS)
        raise ModelError(f"model {source!r}: no such folder; wanted a folder, a hub id, or one of {names}")
    _require_model(source, path)
    return str(path)


def _require_model(source: str, path: Path) -> None:
    """Check that a path is a folder, neither empty of models, nor a run's, whose model is inside, nor a checkpoint."""
    if path.is_file():
        raise ModelError(f"model {source!r} is a file; wanted the folder of a model, or a hub id")
    inside = path / "model"
    has_weights = any(path.glob("*.safetensors")) or any(path.glob("*.bin"))
    if (inside / CONFIG_NAME).is_file() and not has_weights:
        raise ModelError(f"model {source!r}: the folder of a run; wanted its model, {inside}")
    if (path / MANIFEST).is_file() and not (path / CONFIG_NAME).is_file():
        made = "the model that `qa export-checkpoint` makes of it"
        raise ModelError(f"model {source!r}: a checkpoint, by which a run is resumed; wanted {made}")
    if path.is_dir() and not any(path.glob("*.json")):
        raise ModelError(f"model {source!r}: the folder holds no model; wanted config.json and what belongs to it")


def load_tokenizer(source: str, *, revision: str | None = None) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a model alone; arguments are those of `qa.modeling.reader.load_reader`.

    Raises:
        ModelError: it does not load.

    """
    path = located(source)
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(path, revision=revision)
    except LOADING_ERRORS as error:
        raise ModelError(f"model {source!r} does not load: {in_a_line(error)}") from error
    return tokenizer


def check_words(tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    """Check that the tokenizer of a model knows any words, unlike what the library makes of missing files.

    Raises:
        ModelError: it knows none.

    """
    if tokenizer.get_vocab().keys() <= set(tokenizer.all_special_tokens):
        raise ModelError(f"the tokenizer of model {name!r} knows no words; wanted tokenizer.json or its like beside it")
