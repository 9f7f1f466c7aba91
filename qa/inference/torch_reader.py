"""A reader that PyTorch runs."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForQuestionAnswering, PreTrainedModel, PreTrainedTokenizerBase

from qa.config import DecodingConfig
from qa.decoding.kept import Found
from qa.decoding.spans import decode
from qa.errors import ModelError
from qa.features.collation import Batch, collate
from qa.features.joining import PAD_MULTIPLE
from qa.features.loader import batch_loader
from qa.features.windows import Encoder, Features
from qa.inference.loaded_reader import LoadedReader, longest_for
from qa.inference.onnx import OnnxModel, SpanLogits
from qa.modeling.device_names import Device, Precision
from qa.modeling.devices import find_device, find_precision
from qa.modeling.layout import find_layout
from qa.modeling.layout_file import Layout
from qa.modeling.probe import Probe
from qa.modeling.quirks import longest_window
from qa.modeling.reader import Reader, load_trained_reader
from qa.modeling.settings import default_settings, find_settings
from qa.runtime.cores import settle_after_fork


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class TorchReader(LoadedReader):
    """A reader whose model takes and returns tensors on `device`."""

    device: torch.device

    def size(self) -> str:
        """Say how many parameters the model has."""
        return f"{sum(one.numel() for one in self.model.parameters()) / 1e6:.1f} million"

    def find_spans(
        self, features: Features, batches: Sequence[np.ndarray], config: DecodingConfig, *, window_shares: bool
    ) -> Found:
        """Run features through the model; see `qa.decoding.spans`."""
        head, count, collated = self.settings.head, len(features), self._collated(features, batches)
        return decode(head, self.model, collated, config, features, count=count, window_shares=window_shares)

    def _collated(self, features: Features, batches: Sequence[np.ndarray]) -> Iterable[Batch]:
        """Yield batches on the device; on a CPU without a loader, which takes as long as a small batch's rows."""
        if self.device.type != "cpu":
            return batch_loader(features, batches, input_names=self.input_names, device=self.device)
        return (collate(features, rows, input_names=self.input_names, pad_multiple=PAD_MULTIPLE) for rows in batches)

    def run(self, passes: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Run the inputs of several calls together."""
        return run_together(self.model, passes)


@torch.no_grad()
def run_together(model: Callable[..., Any], passes: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Run the inputs of several calls, all of the same width, in one forward pass; return the output of each."""
    if len(passes) == 1:
        return [model(**passes[0])]
    rows = [len(one["input_ids"]) for one in passes]
    output = model(**{name: torch.cat([one[name] for one in passes]) for name in passes[0]})
    parts = zip(output.start_logits.split(rows), output.end_logits.split(rows), strict=True)
    return [SpanLogits(start, end) for start, end in parts]


def load_torch(source: str, device: Device, dtype: Precision, revision: str | None) -> TorchReader:
    """Load a reader from a folder or the hub.

    Raises:
        ModelError: see `load_trained_reader`.
        ConfigError: an unknown device or precision.

    """
    target, precision = find_device(device), find_precision(dtype)
    return torch_backend(load_trained_reader(source, revision=revision), device=target, dtype=precision)


def torch_backend(reader: Reader, *, device: torch.device, dtype: torch.dtype = torch.float32) -> TorchReader:
    """Run a loaded reader by PyTorch; its model is moved to `device` and switched to inference."""
    settings = reader.usual_settings
    model: nn.Module = reader.model
    return TorchReader(
        model=model.to(device=device, dtype=dtype).train(mode=False),
        tokenizer=reader.tokenizer,
        encoder=reader.encoder,
        settings=settings,
        input_names=reader.input_names,
        longest=longest_for(settings, reader.tokenizer, longest_window(reader.model)),
        device=device,
    )


def loaded_objects(
    model: Any,  # noqa: ANN401  # a model, also one that is compiled, quantised or wrapped
    tokenizer: PreTrainedTokenizerBase,
    *,
    device: Device = None,
    dtype: Precision = None,
) -> TorchReader:
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
    settle_after_fork("cpu")
    plain, called = _unwrapped(model), model if isinstance(model, nn.Module) else _Called(model)
    source = getattr(plain, "name_or_path", "")
    positions = longest_window(plain) if isinstance(plain, PreTrainedModel) else plain.config.max_position_embeddings
    settings = (find_settings(source) if source else None) or default_settings(tokenizer, positions)
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
    return TorchReader(
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


# --- ONNX files without a layout ---


def layout_by_asking(
    model: OnnxModel, tokenizer: PreTrainedTokenizerBase, source: str, *, revision: str | None, max_length: int
) -> Layout:
    """Find how an ONNX file of another program wants texts to be joined, and how long they may be.

    Raises:
        ModelError: its configuration does not load, or see `find_layout`.

    """
    encoder = _asked(_Arrays(model), model.input_names, tokenizer, source, max_length=max_length)
    return Layout(template=encoder.template, longest=_positions(source, revision))


class _Arrays(nn.Module):
    """A model of arrays that takes tensors."""

    def __init__(self, model: OnnxModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, **inputs: torch.Tensor) -> SpanLogits:
        output = self.model(**{name: tensor.numpy() for name, tensor in inputs.items()})
        return SpanLogits(torch.from_numpy(output.start_logits), torch.from_numpy(output.end_logits))


def _positions(source: str, revision: str | None) -> int | None:
    """Return the longest window that the model takes, in tokens; None: its configuration does not say.

    Raises:
        ModelError: its configuration does not load.

    """
    try:
        config = AutoConfig.from_pretrained(source, revision=revision)
        with torch.device("meta"):  # without weights
            model = AutoModelForQuestionAnswering.from_config(config)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise ModelError(f"model {source!r} does not load: {error}") from error
    return longest_window(model)
