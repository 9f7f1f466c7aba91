"""Files -> pieces -> shards of about one size."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from qa.errors import DataError

PIECE_BYTES = 32 << 20
"""About so many bytes of data are one shard: a minute's work or a few of a processor."""


class Piece(NamedTuple):
    """Part of a file: bytes of text, or row groups of Parquet; `end` is the first that is not in it."""

    path: str
    begin: int
    end: int
    size: int
    """Bytes."""


class Tally(NamedTuple):
    """Rows of a shard."""

    rows: int
    errors: int
    """How many of them have an error in the place of an answer."""

    @classmethod
    def sum(cls, tallies: "Iterable[Tally]") -> "Tally":
        """Return those of all."""
        return cls(*(sum(numbers) for numbers in zip(cls(0, 0), *tallies, strict=True)))


def data_files(source: Path) -> list[Path]:
    """Return the files of a folder and the folders in it, by name, or the one file that is named.

    Names that begin with a dot or an underscore are left out: other programs keep their own files under them.

    Raises:
        DataError: there is none.

    """
    if source.is_file():
        return [source]
    found = [path for path in source.rglob("*") if path.is_file() and not _is_hidden(path.relative_to(source))]
    if not found:
        raise DataError(f"{source}: no file, or a folder without any; wanted JSON Lines or Parquet")
    return sorted(found, key=lambda path: path.relative_to(source).parts)


def _is_hidden(path: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.parts)


def shards(pieces: Iterable[Piece], size: int) -> Iterator[tuple[Piece, ...]]:
    """Group pieces, in order, into shards of `size` bytes or, for a larger piece, more."""
    shard: list[Piece] = []
    for piece in pieces:
        if shard and sum(one.size for one in shard) + piece.size > size:
            yield tuple(shard)
            shard = []
        shard.append(piece)
    yield tuple(shard)
