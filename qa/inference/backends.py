"""Name -> loaded reader: torch, onnx, onnx_int8."""

from collections.abc import Callable
from functools import partial

from qa.config import Backend
from qa.errors import ConfigError, MissingPackageError
from qa.inference.loaded_reader import LoadedReader
from qa.inference.onnx_reader import load_onnx
from qa.modeling.device_names import Device, Precision
from qa.runtime.cores import settle_after_fork


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
        MissingPackageError: the backend's package is not installed.

    """
    settle_after_fork("cpu")
    for name, load in _BACKENDS.items():
        if backend == name:
            return load(source, device, dtype, revision)
    raise ConfigError(f"backend is {backend!r}; wanted one of {', '.join(map(repr, _BACKENDS))}")


def _load_torch(source: str, device: Device, dtype: Precision, revision: str | None) -> LoadedReader:
    try:
        from qa.inference.torch_reader import load_torch  # noqa: PLC0415  # an extra, and seconds
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"not installed: {error.name}; install it with: pip install 'extractive-qa[torch]', or take the backend "
            "onnx for a model that `qa export` prepared"
        ) from error
    return load_torch(source, device, dtype, revision)


_BACKENDS: dict[Backend, Callable[[str, Device, Precision, str | None], LoadedReader]] = {
    "torch": _load_torch,
    "onnx": partial(load_onnx, "onnx"),
    "onnx_int8": partial(load_onnx, "onnx_int8"),
}
