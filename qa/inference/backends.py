"""Name -> loaded model: torch, onnx, onnx_int8."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from qa.config import Backend
from qa.errors import ConfigError
from qa.features.windows import Encoder
from qa.inference.onnx import find_exported_layout, load_onnx_model, read_positions
from qa.modeling.devices import find_device, find_precision, names_cpu
from qa.modeling.layout import Layout, find_layout
from qa.modeling.probe import Probe
from qa.modeling.quirks import longest_window
from qa.modeling.reader import Reader, load_tokenizer, load_trained_reader
from qa.modeling.settings import DEFAULT_SETTINGS, ReaderSettings, find_settings
from qa.runtime.cores import settle_after_fork

Device = str | int | torch.device | None
Precision = str | torch.dtype | None


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class LoadedReader:
    """A reader that answers, whatever runs it."""

    model: nn.Module
    """Takes `input_names` on `device`; its output has `start_logits` and `end_logits`, `[feature, token]`."""
    tokenizer: PreTrainedTokenizerBase
    encoder: Encoder
    """The tokenizer, ready to make features for the model."""
    settings: ReaderSettings
    input_names: Sequence[str]
    longest: int
    """Longest window that the model takes, in tokens."""
    device: torch.device

    def facts(self) -> dict[str, object]:
        """Name what somebody who looks at it wants to know, in a line each."""
        threshold = self.settings.no_answer_threshold
        parameters = sum(one.numel() for one in self.model.parameters())
        return {
            "model": type(self.model).__name__,
            "parameters": f"{parameters / 1e6:.1f} million" if parameters else "in a file",
            "device": self.device,
            "window": f"{self.settings.max_length} tokens, {self.settings.doc_stride} of them shared",
            "longest answer": f"{self.settings.max_answer_tokens} tokens",
            "no answer": f"above {threshold:.2f} log odds" if self.settings.null_possible else "impossible",
        }

    def __repr__(self) -> str:
        return f"LoadedReader({self.facts()['model']} on {self.device})"


def load_backend(
    source: str, *, backend: str = "torch", device: Device = None, dtype: Precision = None, revision: str | None = None
) -> LoadedReader:
    """Load a reader from a folder or the hub.

    Args:
        source: folder or hub id.
        backend: what runs the model: "torch", or "onnx" or "onnx_int8" for a file that `qa export` made.
        device: where it runs; None: the accelerator if there is one, else the CPU.
        dtype: precision of weights and activations; None: float32.
        revision: branch, tag or commit of a hub model.

    Raises:
        ModelError: it does not load, has no span head, or does not fit its tokenizer.
        ConfigError: an unknown device, precision or backend, or one that the backend does not have.

    """
    settle_after_fork(torch.device("cpu"))
    for name, load in _BACKENDS.items():
        if backend == name:
            return load(source, device, dtype, revision)
    raise ConfigError(f"backend is {backend!r}; wanted one of {', '.join(map(repr, _BACKENDS))}")


def torch_backend(reader: Reader, *, device: torch.device, dtype: torch.dtype = torch.float32) -> LoadedReader:
    """Run a loaded reader by PyTorch; its model is moved to `device` and switched to inference."""
    settings = reader.settings or DEFAULT_SETTINGS
    model: nn.Module = reader.model
    return LoadedReader(
        model=model.to(device=device, dtype=dtype).train(mode=False),
        tokenizer=reader.tokenizer,
        encoder=reader.encoder,
        settings=settings,
        input_names=reader.input_names,
        longest=_longest(settings, reader.tokenizer, longest_window(reader.model)),
        device=device,
    )


def loaded_objects(
    model: Any,  # noqa: ANN401  # a model, also one that is compiled, quantised or wrapped
    tokenizer: PreTrainedTokenizerBase,
    *,
    device: Device = None,
    dtype: Precision = None,
) -> LoadedReader:
    """Take a model and a tokenizer that are loaded already; the model is switched to inference.

    Args:
        model: a PyTorch model with a span head, as it is or wrapped by peft, torch.compile or a quantiser; or whatever
            is called like one and has its `config`.
        tokenizer: the model's.
        device: where it is moved to; None: it stays where it is.
        dtype: precision of weights and activations; None: as they are.

    Raises:
        ModelError: no span head, or it does not fit the tokenizer.
        ConfigError: an unknown device or precision.

    """
    settle_after_fork(torch.device("cpu"))
    plain, called = _unwrapped(model), model if isinstance(model, nn.Module) else _Called(model)
    source = getattr(plain, "name_or_path", "")
    settings = (find_settings(source) if source else None) or DEFAULT_SETTINGS
    positions = longest_window(plain) if isinstance(plain, PreTrainedModel) else plain.config.max_position_embeddings
    longest = min(tokenizer.model_max_length, positions or tokenizer.model_max_length)
    name, max_length = source or type(plain).__name__, min(settings.max_length, longest)
    if isinstance(plain, PreTrainedModel):
        reader = Reader.fitted(plain, tokenizer, max_length=max_length, name=name)
        encoder, input_names = reader.encoder, reader.input_names
    else:
        named = inspect.signature(plain.forward).parameters
        input_names = tuple(one for one in ("input_ids", "attention_mask", "token_type_ids") if one in named)
        encoder = _asked(called, input_names, tokenizer, name, max_length=max_length)
    if device is not None:
        model.to(find_device(device))
    if dtype is not None:
        model.to(find_precision(dtype))
    return LoadedReader(
        model=called.train(mode=False),
        tokenizer=tokenizer,
        encoder=encoder,
        settings=settings,
        input_names=input_names,
        longest=longest,
        device=torch.device(getattr(model, "device", "cpu")),
    )


class _Called(nn.Module):
    """What is called like a model but is none of PyTorch's."""

    def __init__(self, called: Callable[..., Any]) -> None:
        super().__init__()
        self.called = called

    def forward(self, **inputs: torch.Tensor) -> Any:  # noqa: ANN401  # its output
        return self.called(**inputs)


def _unwrapped(model: Any) -> Any:  # noqa: ANN401  # whatever the wrappers are
    """Return the model inside of torch.compile's and peft's wrappers."""
    inner = getattr(model, "_orig_mod", model)
    inner = inner.get_base_model() if hasattr(inner, "get_base_model") else inner
    return inner if inner is model else _unwrapped(inner)


def _asked(
    model: nn.Module, input_names: Sequence[str], tokenizer: PreTrainedTokenizerBase, name: str, *, max_length: int
) -> Encoder:
    """Return the tokenizer as the model wants texts to be joined; see `find_layout`."""
    encoder = Encoder.of(tokenizer)
    probe = Probe(model=model, input_names=input_names, name=name)
    return replace(encoder, template=find_layout(probe, tokenizer, encoder.template, max_length=max_length))


def _load_torch(source: str, device: Device, dtype: Precision, revision: str | None) -> LoadedReader:
    target, precision = find_device(device), find_precision(dtype)
    return torch_backend(load_trained_reader(source, revision=revision), device=target, dtype=precision)


def _load_onnx(backend: Backend) -> "Callable[[str, Device, Precision, str | None], LoadedReader]":
    def load(source: str, device: Device, dtype: Precision, revision: str | None) -> LoadedReader:
        if device is not None and not names_cpu(device):
            raise ConfigError(f"device is {device!r}; an ONNX file runs on the cpu here")
        if find_precision(dtype) != torch.float32:
            raise ConfigError(f"dtype is {dtype!r}; an ONNX file has the precision that it was exported with")
        model = load_onnx_model(source, backend, revision=revision)
        tokenizer = load_tokenizer(source, revision=revision)
        settings = find_settings(source, revision=revision) or DEFAULT_SETTINGS
        encoder, layout = Encoder.of(tokenizer), find_exported_layout(source, revision=revision)
        if layout is None:
            encoder = _asked(model, model.input_names, tokenizer, source, max_length=settings.max_length)
            layout = Layout(template=encoder.template, longest=read_positions(source, revision=revision))
        return LoadedReader(
            model=model,
            tokenizer=tokenizer,
            encoder=replace(encoder, template=layout.template),
            settings=settings,
            input_names=model.input_names,
            longest=_longest(settings, tokenizer, layout.longest),
            device=torch.device("cpu"),
        )

    return load


_BACKENDS: dict[Backend, Callable[[str, Device, Precision, str | None], LoadedReader]] = {
    "torch": _load_torch,
    "onnx": _load_onnx("onnx"),
    "onnx_int8": _load_onnx("onnx_int8"),
}


def _longest(settings: ReaderSettings, tokenizer: PreTrainedTokenizerBase, positions: int | None) -> int:
    """Return the longest window, in tokens, that model and tokenizer take."""
    most: int = tokenizer.model_max_length
    return max(settings.max_length, min(positions or most, most))
