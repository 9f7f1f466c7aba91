"""The function that transformers removed in 5.3, for code that was written for it."""

import logging
import os
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any, cast

import transformers
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForQuestionAnswering, AutoTokenizer, PreTrainedModel, pipelines

from qa.errors import ConfigError, ModelError
from qa.inference.call_forms import SquadExample
from qa.inference.drop_in import TASK, QuestionAnsweringPipeline
from qa.modeling.checkpoint import load_checkpoint
from qa.modeling.device_names import Device, Precision
from qa.modeling.devices import find_precision
from qa.modeling.reader import load_trained_reader

DEFAULT_MODEL = ("distilbert/distilbert-base-cased-distilled-squad", "564e9b582944a57a3e586bbb98fd6f0a4118db7f")
"""What the removed pipeline answered with where no model was named, and its revision."""
_DEVICE_MAPS = ("auto", "balanced", "balanced_low_0", "sequential")
_OF_THE_HUB = ("revision", "token", "trust_remote_code", "cache_dir", "local_files_only")
_LOADING_ERRORS = (OSError, ValueError, KeyError, RuntimeError, ImportError, TypeError, SafetensorError)
_LOG = logging.getLogger(__name__)


def pipeline(
    task: str | None = None,
    model: Any = None,  # noqa: ANN401  # a folder, a hub id, or a loaded model
    config: Any = None,  # noqa: ANN401  # the same of a configuration
    tokenizer: Any = None,  # noqa: ANN401  # the same of a tokenizer
    *,
    framework: str | None = None,
    revision: str | None = None,
    use_fast: bool = True,
    token: str | bool | None = None,
    device: Device = None,
    device_map: str | Mapping[str, Any] | None = None,
    dtype: Precision = None,
    torch_dtype: Precision = None,
    trust_remote_code: bool | None = None,
    model_kwargs: Mapping[str, Any] | None = None,
    pipeline_class: type | None = None,
    **given: Any,  # noqa: ANN401  # options of all calls, see `CallOptions`, and what other tasks take
) -> Any:  # noqa: ANN401  # other tasks have other pipelines
    """Make a question-answering pipeline as transformers' `pipeline` did until 5.2; other tasks are handed on to it.

    Args:
        task: "question-answering", also where none is named; any other is transformers' own.
        model: folder, hub id, or a loaded model, also one wrapped by peft or compiled.
        config: the model's, where it is not beside it.
        tokenizer: folder, hub id, or a loaded tokenizer; None: the model's.
        framework: "pt".
        revision: branch, tag or commit of a hub model.
        use_fast: true; there are no others that have offsets.
        token: for private hub models.
        device: name, or number of an accelerator, which falls back to the CPU with a warning; −1 is the CPU; None: the
            accelerator if there is one.
        device_map: a device, "auto", or where each part of a large model goes, which accelerate then does.
        dtype: precision, or "auto" for the checkpoint's; None: float32, for a loaded model as it is.
        torch_dtype: another name of `dtype`.
        trust_remote_code: whether code beside the model may run.
        model_kwargs: what `from_pretrained` is told besides.
        pipeline_class: what is made of model and tokenizer; None: `QuestionAnsweringPipeline`.
        given: options of all calls, and what the base of pipelines takes.

    Raises:
        ConfigError: a framework, device, precision or option that does not exist.
        ModelError: it does not load, has no span head, or does not fit its tokenizer.

    """
    if framework not in {None, "pt"}:
        raise ConfigError(f"framework is {framework!r}; wanted 'pt'")
    precision = dtype if torch_dtype is None else torch_dtype
    said = _given(revision=revision, token=token, trust_remote_code=trust_remote_code)
    if task not in {None, TASK}:
        places = _given(config=config, device=device, device_map=device_map, dtype=precision, model_kwargs=model_kwargs)
        other = cast("Any", transformers).pipeline
        return other(task, model=model, tokenizer=tokenizer, use_fast=use_fast, **said, **places, **given)
    said |= model_kwargs or {}
    if model is None:
        model, said["revision"] = DEFAULT_MODEL
        _LOG.warning("found no model; %s is taken, as the removed pipeline did", model)
    found, known_tokenizer = _parts(model, tokenizer, config, said, device_map=device_map, precision=precision)
    return (pipeline_class or QuestionAnsweringPipeline)(
        model=found,
        tokenizer=known_tokenizer,
        task=TASK,
        device=device if device is not None else _mapped_device(device_map),
        dtype=None if precision == "auto" else precision,
        **given,
    )


def restore_pipeline() -> None:
    """Let transformers' own `pipeline("question-answering")`, and its classes, be found again by packages that ask.

    evaluate and MLflow look the class up in transformers and call its function. This puts ours there, for this
    process, and an empty `TFPreTrainedModel`, which evaluate compares a pipeline with and transformers 5 lacks: nothing
    else of transformers changes.
    """
    registry = pipelines.PIPELINE_REGISTRY
    pipelines.REMOVED_TASKS.pop(TASK, None)
    if TASK not in registry.supported_tasks:
        default = {"model": DEFAULT_MODEL}
        model = AutoModelForQuestionAnswering
        registry.register_pipeline(TASK, QuestionAnsweringPipeline, pt_model=model, default=default, type="text")
    module = ModuleType("transformers.pipelines.question_answering")
    vars(module).update(QuestionAnsweringPipeline=QuestionAnsweringPipeline, SquadExample=SquadExample)
    sys.modules.setdefault(module.__name__, module)
    for place in (*_library(), pipelines):
        vars(place)["QuestionAnsweringPipeline"] = QuestionAnsweringPipeline
    for place in _library():
        vars(place).setdefault("TFPreTrainedModel", type("TFPreTrainedModel", (), {}))
    cast("Any", pipelines).question_answering = sys.modules[module.__name__]


def _library() -> set[ModuleType]:
    """Return the library's module, of which there may be two: its first lines can run twice."""
    return {transformers, sys.modules[transformers.__name__]}


def _given(**values: Any) -> dict[str, Any]:  # noqa: ANN401  # of any types
    return {name: value for name, value in values.items() if value is not None}


# --- model and tokenizer ---


def _parts(
    model: Any,  # noqa: ANN401
    tokenizer: Any,  # noqa: ANN401
    config: Any,  # noqa: ANN401
    said: Mapping[str, Any],
    *,
    device_map: object,
    precision: Precision,
) -> tuple[Any, Any]:
    """Return the model and the tokenizer, loaded where they are named."""
    spread = {"device_map": dict(device_map)} if isinstance(device_map, Mapping) and len(device_map) > 1 else {}
    is_plain = not spread and config is None and precision != "auto" and said.keys() <= {"revision"}
    if _is_name(model) and is_plain:
        reader = load_trained_reader(os.fspath(model), revision=said.get("revision"))
        own = reader.tokenizer if _is_name(tokenizer) and os.fspath(tokenizer) == os.fspath(model) else tokenizer
        return reader.model, reader.tokenizer if own is None else _tokenizer(own, said)
    if not _is_name(model):
        if tokenizer is None:
            raise ConfigError("found a loaded model and no tokenizer; wanted both, since the model names none")
        return model, _tokenizer(tokenizer, said)
    dtype = {"dtype": "auto" if precision == "auto" else find_precision(precision)}
    known = _configuration(config, said)
    own = os.fspath(model) if tokenizer is None else tokenizer
    return _model(os.fspath(model), {**dtype, **spread, **known, **said}), _tokenizer(own, said)


def _is_name(value: object) -> bool:
    return isinstance(value, str | os.PathLike)


def _model(name: str, said: Mapping[str, Any]) -> PreTrainedModel:
    try:
        found, has_new_head = load_checkpoint(name, name=name, **said)
    except _LOADING_ERRORS as error:
        raise ModelError(f"model {name!r} does not load: {error}") from error
    if has_new_head:
        raise ModelError(f"model {name!r} has no span head: its answers would be random; fine-tune it")
    return found


def _configuration(config: Any, said: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ANN401  # a name or an object
    if config is None:
        return {}
    return {"config": _loaded(AutoConfig, os.fspath(config), said) if _is_name(config) else config}


def _tokenizer(tokenizer: Any, said: Mapping[str, Any]) -> Any:  # noqa: ANN401  # a name, also with options, or an object
    name, more = tokenizer if isinstance(tokenizer, tuple) else (tokenizer, {})
    kept = {key: value for key, value in more.items() if key != "use_fast"}  # there are no others
    return _loaded(AutoTokenizer, os.fspath(name), said, **kept) if _is_name(name) else name


def _loaded(kind: Any, name: str, said: Mapping[str, Any], **more: Any) -> Any:  # noqa: ANN401  # transformers' classes
    hub = {key: said[key] for key in _OF_THE_HUB if key in said}
    try:
        return kind.from_pretrained(name, **hub, **more)
    except _LOADING_ERRORS as error:
        raise ModelError(f"{name!r} does not load: {error}") from error


def _mapped_device(device_map: str | Mapping[str, Any] | None) -> Device:
    """Return the one device of a map; None where a map says to choose, or has several."""
    if isinstance(device_map, Mapping):
        return next(iter(device_map.values())) if len(device_map) == 1 else None
    return None if device_map in _DEVICE_MAPS else device_map
