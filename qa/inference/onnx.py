"""Files that onnxruntime runs on the CPU; inputs and outputs are those of the PyTorch model, as arrays."""

import ctypes
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from huggingface_hub import hf_hub_download

from qa.config import Backend
from qa.errors import MissingPackageError, ModelError, in_a_line
from qa.modeling.layout_file import LAYOUT_FILE, Layout
from qa.modeling.settings import find_file
from qa.runtime.cores import model_threads

ONNX_FILES: dict[Backend, str] = {"onnx": "onnx/model.onnx", "onnx_int8": "onnx/model_int8.onnx"}
"""Files of a model's folder; the folder's name is the hub's convention."""
_LAYOUT = f"onnx/{LAYOUT_FILE}"
_ERRORS_ONLY = 3  # onnxruntime's severity
_TWICE = 500_000_000  # bytes of the largest file whose weights may be in memory twice: base models in float32
_SLOWER = ["SkipLayerNormFusion"]
"""Fusions that cost more than they save on a CPU: a sum and a norm apart take half the time of both in one."""


class SpanLogits(NamedTuple):
    """The output of a reader for a batch, as its model has it: tensors of PyTorch, or arrays."""

    start_logits: Any
    end_logits: Any


class OnnxModel:
    """An ONNX file that is called like the model it was made from."""

    def __init__(self, path: Path) -> None:
        """Load the file.

        Raises:
            MissingPackageError: onnxruntime is not installed.
            ModelError: the file is missing or no reader.

        """
        self._path, self._session = path, _Session(path)
        self.input_names = tuple(one.name for one in self._session.loaded.get_inputs())
        outputs = tuple(one.name for one in self._session.loaded.get_outputs())
        if outputs != SpanLogits._fields:
            raise ModelError(
                f"{path} has the outputs {outputs}; wanted {SpanLogits._fields}, as `qa export` makes them"
            )

    def __call__(self, **inputs: np.ndarray) -> SpanLogits:
        """Run a batch."""
        return self._run(self._session.loaded, inputs)

    def run_each(self, batches: Sequence[Mapping[str, np.ndarray]]) -> list[SpanLogits]:
        """Run small batches, which leave most of a second thread idle, side by side on one each, if there are enough.

        What runs them so is a second session with weights of its own, loaded when it is first needed.
        """
        threads = self._session.threads
        alone = self._session.on_one_thread() if 1 < threads <= len(batches) else None
        if alone is None:
            return [self(**one) for one in batches]
        with ThreadPoolExecutor(threads, "onnx") as pool:
            return list(pool.map(partial(self._run, alone), batches))

    def _run(self, session: Any, inputs: Mapping[str, np.ndarray]) -> SpanLogits:  # noqa: ANN401  # no types
        try:
            start, end = session.run(SpanLogits._fields, dict(inputs))
        except Exception as error:  # its errors have no common base but this
            shape = inputs["input_ids"].shape
            raise ModelError(f"{self._path} does not take a batch of {shape}: {in_a_line(error)}") from error
        return SpanLogits(start, end)


def load_onnx_model(source: str, backend: Backend, *, revision: str | None = None) -> OnnxModel:
    """Load the file that `qa export` wrote into a model's folder, or the same from the hub.

    Raises:
        ModelError: it is not there, or does not load.

    """
    return OnnxModel(_onnx_file(source, ONNX_FILES[backend], revision))


def find_exported_layout(source: str, *, revision: str | None = None) -> Layout | None:
    """Return the layout that `qa export` wrote; None beside a file of another program.

    Raises:
        ModelError: it is torn.

    """
    path = find_file(source, _LAYOUT, revision=revision)
    return None if path is None else Layout.load(path)


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


# --- sessions ---


class _Session:
    """onnxruntime's session of a file; several threads may use it.

    Deep copies share it, since nothing of it changes. A pickled one takes the file's content along, to where the file
    need not be. A forked process loads the file anew: the threads of its parent's session are not in it.
    """

    def __init__(self, path: Path, content: bytes | None = None, version: "_Version | None" = None) -> None:
        self._path, self._version, self.threads = path, version or _version(path), model_threads()
        self._process, self._alone = os.getpid(), None
        self._loaded = _load(path, content, threads=self.threads)

    @property
    def loaded(self) -> Any:  # noqa: ANN401  # the library has no types
        """The session of this process.

        Raises:
            ModelError: the process was forked, and the file is not what it was.

        """
        self._follow_fork()
        return self._loaded

    def on_one_thread(self) -> Any:  # noqa: ANN401  # as above
        """Return another session of this process on one thread; None for a large file, or one that is not what it was.

        Raises:
            ModelError: as `loaded`.

        """
        self._follow_fork()
        if self._alone is None and self._is_small() and _version(self._path) == self._version:
            self._alone = _load(self._path, None, threads=1)
        return self._alone

    def _follow_fork(self) -> None:
        if self._process == os.getpid():
            return
        _keep_for_ever([self._loaded, self._alone])
        self._loaded, self._alone = _load(self._unchanged(), None, threads=self.threads), None
        self._process = os.getpid()

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Session":
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        path = self._unchanged()
        return _Session, (path, path.read_bytes() if self._is_whole() else None, self._version)

    def _is_whole(self) -> bool:
        """Return whether the weights are in the file: of more than two gigabytes they lie in another beside it."""
        return not self._path.with_name(f"{self._path.name}.data").exists()

    def _is_small(self) -> bool:
        return self._version is not None and self._version.size <= _TWICE and self._is_whole()

    def _unchanged(self) -> Path:
        version = _version(self._path)
        if version is None or version != self._version:
            found = "is not there any more" if version is None else "has changed since it was loaded"
            raise ModelError(
                f"{self._path} {found}; another process needs it as it was: load the reader in that process"
            )
        return self._path


class _Version(NamedTuple):
    """What changes when a file is written anew."""

    size: int
    time: int


def _version(path: Path) -> _Version | None:
    """Return a file's version; None: there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return _Version(found.st_size, found.st_mtime_ns)


def _keep_for_ever(sessions: list[Any]) -> None:
    """Let nobody end sessions whose threads are gone: it would wait for them."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(sessions))


def _load(path: Path, content: bytes | None, *, threads: int) -> Any:  # noqa: ANN401  # the library has no types
    try:
        import onnxruntime  # noqa: PLC0415  # an extra: whoever runs PyTorch does without it
    except ImportError as error:
        raise MissingPackageError(
            "not installed: onnxruntime; install it with: pip install 'extractive-qa[onnx]'"
        ) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.enable_mem_pattern = False  # one is kept for each shape of a batch, and windows have all lengths
    options.intra_op_num_threads = threads  # onnxruntime would take all of the machine's cores
    try:
        return onnxruntime.InferenceSession(
            content or str(path), options, providers=["CPUExecutionProvider"], disabled_optimizers=_SLOWER
        )
    except Exception as error:  # its errors have no common base but this
        raise ModelError(f"{path} does not load: {error}") from error
