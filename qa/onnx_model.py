"""A reader as an ONNX file that onnxruntime runs on the CPU; it takes and gives what the PyTorch model does."""

import os
from pathlib import Path
from typing import Any, NamedTuple, get_args

import torch
from huggingface_hub import hf_hub_download
from torch import Tensor, nn
from transformers import AutoConfig, PreTrainedTokenizerBase

from qa.config import Backend
from qa.errors import ConfigError, ModelError
from qa.model import DEFAULT_SETTINGS, ReaderSettings, load_tokenizer, saved_settings

ONNX_FILES: dict[Backend, str] = {"onnx": "onnx/model.onnx", "onnx_int8": "onnx/model_int8.onnx"}
"""Files of a model's folder; the folder's name is the hub's convention."""
_ERRORS_ONLY = 3  # onnxruntime's severity


class SpanLogits(NamedTuple):
    """What a reader gives for a batch, `[feature, token]`."""

    start_logits: Tensor
    end_logits: Tensor


class OnnxModel(nn.Module):
    """An ONNX file that is called like the model it was made from."""

    def __init__(self, path: Path) -> None:
        """Load the file.

        Raises:
            ModelError: onnxruntime is not installed, or the file is missing or no reader.

        """
        super().__init__()
        self._session = _session(path)
        self.input_names = tuple(one.name for one in self._session.get_inputs())
        outputs = tuple(one.name for one in self._session.get_outputs())
        if outputs != SpanLogits._fields:
            raise ModelError(f"{path} gives {outputs}; wanted {SpanLogits._fields}, as `qa export` makes them")

    def forward(self, **inputs: Tensor) -> SpanLogits:
        """Run a batch; tensors are on the CPU."""
        values = {name: tensor.numpy() for name, tensor in inputs.items()}
        start, end = self._session.run(SpanLogits._fields, values)
        return SpanLogits(torch.from_numpy(start), torch.from_numpy(end))


class OnnxReader(NamedTuple):
    """An ONNX file with what answering needs besides; the PyTorch weights are not read."""

    model: OnnxModel
    tokenizer: PreTrainedTokenizerBase
    settings: ReaderSettings
    positions: int | None
    """Longest window that the model takes, in tokens; None: its configuration does not say."""


def load_onnx_reader(source: str, backend: str, *, revision: str | None = None) -> OnnxReader:
    """Load what `qa export` wrote into a model's folder, or the same from the hub.

    Raises:
        ModelError: it is not there, or does not load.

    """
    model = OnnxModel(_onnx_file(source, ONNX_FILES[known_backend(backend)], revision))
    try:
        config = AutoConfig.from_pretrained(source, revision=revision)
    except (OSError, ValueError) as error:
        raise ModelError(f"model {source!r} does not load: {error}") from error
    return OnnxReader(
        model=model,
        tokenizer=load_tokenizer(source, revision=revision),
        settings=saved_settings(source, revision=revision) or DEFAULT_SETTINGS,
        positions=getattr(config, "max_position_embeddings", None),
    )


def known_backend(name: str) -> Backend:
    """Check the name of a backend.

    Raises:
        ConfigError: it is none.

    """
    for known in get_args(Backend):
        if name == known:
            backend: Backend = known
            return backend
    raise ConfigError(f"backend is {name!r}; wanted one of {', '.join(map(repr, get_args(Backend)))}")


def check_onnx_target(device: str | int | torch.device | None, dtype: str | torch.dtype | None) -> None:
    """Check that nothing is asked of an ONNX file but the CPU and the precision that it has.

    Raises:
        ConfigError: another device or precision.

    """
    if device is not None and (isinstance(device, int) or torch.device(device).type != "cpu"):
        raise ConfigError(f"device is {device!r}; an ONNX file runs on the cpu here")
    if dtype is not None and dtype not in {"float32", torch.float32}:
        raise ConfigError(f"dtype is {dtype!r}; an ONNX file has the precision that it was exported with")


def _onnx_file(source: str, name: str, revision: str | None) -> Path:
    missing = f"model {source!r} has no {name}; make it with: qa export {source}"
    if Path(source).is_dir():
        if not (Path(source) / name).is_file():
            raise ModelError(missing)
        return Path(source) / name
    try:
        return Path(hf_hub_download(source, name, revision=revision))
    except (OSError, ValueError) as error:
        raise ModelError(f"{missing} ({error})") from error


def _session(path: Path) -> Any:  # noqa: ANN401  # the library has no types
    try:
        import onnxruntime  # noqa: PLC0415  # an extra: whoever runs PyTorch does without it
    except ImportError as error:
        raise ModelError("onnxruntime is not installed; install it with: pip install 'qa[onnx]'") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.intra_op_num_threads = _threads()
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no common base but this
        raise ModelError(f"{path} does not load: {error}") from error


def _threads() -> int:
    """Count the cores that this process may use: onnxruntime would take all of the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
