"""Name -> loaded model: torch, onnx, onnx_int8."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from qa.config import Backend
from qa.errors import ConfigError
from qa.features.windows import Encoder
from qa.inference.onnx import load_onnx_model, read_positions
from qa.modeling.devices import find_device, find_precision
from qa.modeling.layout import find_layout
from qa.modeling.probe import Probe
from qa.modeling.quirks import longest_window
from qa.modeling.reader import Reader, load_tokenizer, load_trained_reader
from qa.modeling.settings import DEFAULT_SETTINGS, ReaderSettings, find_settings

Device = str | int | torch.device | None
Precision = str | torch.dtype | None


@dataclass(frozen=True, eq=False, kw_only=True)
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


def _load_torch(source: str, device: Device, dtype: Precision, revision: str | None) -> LoadedReader:
    target, precision = find_device(device), find_precision(dtype)
    return torch_backend(load_trained_reader(source, revision=revision), device=target, dtype=precision)


def _load_onnx(backend: Backend) -> "Callable[[str, Device, Precision, str | None], LoadedReader]":
    def load(source: str, device: Device, dtype: Precision, revision: str | None) -> LoadedReader:
        if device is not None and (isinstance(device, int) or torch.device(device).type != "cpu"):
            raise ConfigError(f"device is {device!r}; an ONNX file runs on the cpu here")
        if dtype is not None and dtype not in {"float32", torch.float32}:
            raise ConfigError(f"dtype is {dtype!r}; an ONNX file has the precision that it was exported with")
        model = load_onnx_model(source, backend, revision=revision)
        tokenizer = load_tokenizer(source, revision=revision)
        settings = find_settings(source, revision=revision) or DEFAULT_SETTINGS
        probe = Probe(model=model, input_names=model.input_names, name=source)
        encoder = Encoder.of(tokenizer)
        template = find_layout(probe, tokenizer, encoder.template, max_length=settings.max_length)
        return LoadedReader(
            model=model,
            tokenizer=tokenizer,
            encoder=replace(encoder, template=template),
            settings=settings,
            input_names=model.input_names,
            longest=_longest(settings, tokenizer, read_positions(source, revision=revision)),
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
