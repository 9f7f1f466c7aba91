"""A file of text, packed or not, in UTF-8 or UTF-16 -> its lines."""

import codecs
import gzip
import io
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

from qa.errors import DataError

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_START = 1 << 16


def opened(path: Path) -> gzip.GzipFile | BufferedReader:
    """Open a file for its bytes; one that is gzipped is unpacked."""
    with path.open("rb") as file:
        gzipped = file.read(2) == b"\x1f\x8b"
    return gzip.open(path) if gzipped else path.open("rb")


def start_of(path: Path) -> bytes:
    """Return the first bytes of a file, unpacked; of text as UTF-8, without byte order mark and leading space."""
    with opened(path) as file:
        start = file.read(_START)
    if start.startswith(_UTF_16):
        even = start[: len(start) // 2 * 2]
        start = even.decode("utf-16", "replace").encode("utf-8", "replace")
    return start.removeprefix(BYTE_ORDER_MARK).lstrip()


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line number, from 1, and text, split at line feeds only: a carriage return counts in answer offsets.

    Raises:
        DataError: bytes that are no text in the file's encoding.

    """
    with opened(path) as file:
        utf_16 = file.read(2) in _UTF_16
    yield from _utf_16_lines(path) if utf_16 else _utf_8_lines(path)


def _utf_8_lines(path: Path) -> Iterator[tuple[int, str]]:
    with opened(path) as file:
        for number, line in enumerate(file, start=1):
            try:
                yield number, line.removeprefix(BYTE_ORDER_MARK if number == 1 else b"").decode()
            except UnicodeDecodeError as error:
                raise DataError(
                    f"{path}: line {number}, byte {error.start} is not UTF-8: {error.reason}; "
                    "wanted UTF-8, or UTF-16 with a byte order mark"
                ) from error


def _utf_16_lines(path: Path) -> Iterator[tuple[int, str]]:
    with opened(path) as file, io.TextIOWrapper(file, "utf-16", newline="\n") as text:
        try:
            yield from enumerate(text, start=1)
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: byte {error.start} is not UTF-16: {error.reason}") from error
