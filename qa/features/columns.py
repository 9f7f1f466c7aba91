"""Arrays <-> files of a folder: written piece by piece, since they need not fit into memory, and mapped into it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

_SUFFIX = ".npy"


class GrowingColumns:
    """Flat arrays by name, one file each in NumPy's format, whose header has room for any length."""

    def __init__(self, folder: Path) -> None:
        """Take the folder of the files."""
        self._folder = folder
        self._files: dict[str, BinaryIO] = {}
        self._known: dict[str, tuple[np.dtype, int]] = {}

    def append(self, **columns: np.ndarray) -> None:
        """Write further values of some columns; the first ones, of which there may be none, decide their type."""
        for name, values in columns.items():
            if name not in self._files:
                self._files[name] = (self._folder / f"{name}{_SUFFIX}").open("wb")
                self._known[name] = values.dtype, 0
                self._write_header(name)
            dtype, count = self._known[name]
            assert values.dtype == dtype, (name, values.dtype, dtype)
            self._files[name].write(np.ascontiguousarray(values).data)
            self._known[name] = dtype, count + len(values)

    def close(self, *, whole: bool) -> None:
        """Close the files; where they are whole, with their lengths."""
        with contextlib.ExitStack() as opened:
            for name, file in self._files.items():
                opened.enter_context(file)
                if whole:
                    file.seek(0)
                    self._write_header(name)

    def _write_header(self, name: str) -> None:
        dtype, count = self._known[name]
        described = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (count,)}
        np.lib.format.write_array_header_1_0(self._files[name], described)


@contextlib.contextmanager
def growing_columns(folder: Path) -> Iterator[GrowingColumns]:
    """Yield columns to append to; an error leaves files that cannot be taken for whole columns."""
    columns, whole = GrowingColumns(folder), False
    try:
        yield columns
        whole = True
    finally:
        columns.close(whole=whole)


def mapped_columns(folder: Path) -> dict[str, np.ndarray]:
    """Map the columns of a folder into memory, by name; nothing is copied, and nothing can be written.

    Raises:
        FileNotFoundError: no such folder.

    """
    files = sorted(file for file in folder.iterdir() if file.suffix == _SUFFIX)
    return {file.stem: np.asarray(np.load(file, mmap_mode="r")) for file in files}
