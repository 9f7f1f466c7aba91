"""Tensors that processes share -> files, one of each process, written beside the training; and back, at any number.

By torch.distributed.checkpoint, in safetensors: what it writes otherwise is pickled. No process gathers what others
hold. So all must see the folder.
"""

import contextlib
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import Accelerator
from safetensors.torch import load_file
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.metadata import Metadata, TensorStorageMetadata
from torch.distributed.checkpoint.planner import SavePlan
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.distributed.checkpoint.storage import WriteResult

from qa.errors import CheckpointError, StorageError, in_a_line
from qa.files import beside, whole_folder
from qa.run_folder.states import AVERAGE
from qa.runtime.collectives import any_process, from_main

_FILES = "shard-*.safetensors"  # as the library names them


class Shards:
    """Writes folders of shards, one at a time, in a thread of every process, and reads them. All is collective."""

    def __init__(self) -> None:
        """Give the threads exchanges of their own, which cannot meet those of the training."""
        self._group = torch.distributed.new_group(backend="gloo")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="shards")
        self._path, self._written = Path(), Future[None]()
        self._written.set_result(None)

    def begin(
        self,
        path: Path,
        tensors: Mapping[str, Tensor],
        *,
        complete: Callable[[Path], None],
        then: Callable[[], None],
    ) -> None:
        """Copy the tensors, which the next step changes, and begin to write them.

        Args:
            path: folder that appears, whole, when all processes have written, or not at all.
            tensors: by name, the same on all processes; each writes its part of a DTensor, and one of them a tensor.
            complete: adds what else belongs into the folder, on the main process.
            then: called there when the folder is in its place.

        Raises:
            StorageError: see `finish`.

        """
        self.finish()
        copies = {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}
        self._path, self._written = path, self._thread.submit(self._write, path, copies, complete, then)

    def finish(self) -> None:
        """Wait until the folder that was begun is in its place.

        Raises:
            StorageError: on all processes: one of them could not write; what was there before is untouched.

        """
        try:
            self._written.result()
        except CheckpointException as error:
            raise StorageError(f"cannot write the checkpoint {self._path}: {_cause(error)}") from error

    def read(self, folder: Path, tensors: dict[str, Tensor]) -> None:
        """Fill tensors with those of a folder that have their names; each process reads what it holds of them.

        Raises:
            CheckpointError: on all processes: one of them cannot, or there is no such tensor.

        """
        reader = HuggingFaceStorageReader(str(folder))
        try:
            load(tensors, storage_reader=reader, process_group=self._group)
        except CheckpointException as error:
            raise CheckpointError(f"cannot read the checkpoint {folder}: {_cause(error)}") from error

    def _write(
        self, path: Path, tensors: dict[str, Tensor], complete: Callable[[Path], None], then: Callable[[], None]
    ) -> None:
        with contextlib.ExitStack() as folder:
            writer = _FolderWriter(path, folder, complete, then)
            save(tensors, storage_writer=writer, process_group=self._group)


class _FolderWriter(HuggingFaceStorageWriter):
    """Makes the folder on the main process before others write, and puts it in its place when all have written.

    In the library's own steps, between which all processes learn of an error of one.
    """

    def __init__(
        self,
        path: Path,
        folder: contextlib.ExitStack,
        complete: Callable[[Path], None],
        then: Callable[[], None],
    ) -> None:
        super().__init__(str(beside(path, "part")), save_distributed=True)
        self._place, self._folder, self._complete, self._then = path, folder, complete, then

    def set_up_storage_writer(self, is_coordinator: bool, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        super().set_up_storage_writer(is_coordinator, *args, **kwargs)
        if is_coordinator:
            self._folder.enter_context(whole_folder(self._place))

    def prepare_local_plan(self, plan: SavePlan) -> SavePlan:
        return plan  # the library's makes the folder, on every process

    def finish(self, metadata: Metadata, results: list[list[WriteResult]]) -> None:
        super().finish(metadata, results)
        self._complete(Path(self.path))
        self._folder.close()
        self._then()


def _cause(error: CheckpointException) -> str:
    process, (cause, _) = next(iter(error.failures.items()))
    return f"{in_a_line(cause)} (process {process})"


def names_in(folder: Path) -> set[str]:
    """Return the names of the tensors that a folder has in shards; none where it has other files.

    Raises:
        SafetensorError: the files are damaged.

    """
    if not any(folder.glob(_FILES)):
        return set()
    return set(HuggingFaceStorageReader(str(folder)).read_metadata().state_dict_metadata)


def saved_tensors(checkpoint: Path, kind: str) -> dict[str, Tensor]:
    """Read whole tensors on one process, from shards or a file of their own: of averages there may be none.

    Raises:
        OSError, SafetensorError, KeyError, ValueError: they are missing or damaged.

    """
    if names_in(checkpoint):
        return _joined(checkpoint, f"{kind}/")
    file = checkpoint / whole_file_of(kind)
    return load_file(file) if kind != AVERAGE or file.exists() else {}


def whole_file_of(kind: str) -> str:
    """Return the name of the file that has the whole tensors of a kind."""
    return f"{kind}.safetensors"


def _joined(folder: Path, prefix: str) -> dict[str, Tensor]:
    reader = HuggingFaceStorageReader(str(folder))
    found = cast("dict[str, TensorStorageMetadata]", reader.read_metadata().state_dict_metadata)
    tensors = {
        name: torch.empty(described.size, dtype=described.properties.dtype)
        for name, described in found.items()
        if name.startswith(prefix)
    }
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.distributed is disabled")
        load(tensors, storage_reader=reader, no_dist=True)
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}


def require_shared(accelerator: Accelerator, owner: Path) -> None:
    """Check that all processes see the file in which the owner of the run folder stands. Collective.

    Raises:
        StorageError: on all processes: one of them does not.

    """
    wanted = from_main(accelerator, lambda: _text(owner))
    if any_process(accelerator, _text(owner) != wanted):
        raise StorageError(
            f"not all processes see the run folder {owner.parent}, into which each writes its part; wanted one on a "
            "disk that all machines share, or fsdp_state_dict_type: FULL_STATE_DICT"
        )


def _text(file: Path) -> str | None:
    with contextlib.suppress(OSError):
        return file.read_text(encoding="utf-8")
    return None
