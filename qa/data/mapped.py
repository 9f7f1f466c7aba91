"""Examples of a large source <-> a memory-mapped Arrow file: read, checked and hashed by one process of a machine.

The key of an entry is the content of the source's files and the code that reads them, never a name or a time.
"""

import contextlib
import hashlib
import json
import platform
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path

import datasets
import pyarrow as pa

from qa.config import DataConfig
from qa.data.examples import Examples, good_problems, load_examples
from qa.data.formats import damage_named
from qa.data.problems import DataProblem
from qa.data.references import Purpose
from qa.data.sieve import Sieve
from qa.data.sources import read_rows, source_files
from qa.data.store import cache_root, stored
from qa.errors import DataError

SMALL = 1 << 22
"""Bytes of a source that every process reads for itself, sooner than it would find what another one has read."""
_ROWS, _UNSETTLED, _FACTS = "rows.arrow", "unsettled.arrow", "facts.json"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What of a source is to be loaded; see `load_examples`."""

    source: str
    split: str
    config: DataConfig
    purpose: Purpose = "spans"
    own_split: bool = False


def mapped_examples(wanted: Wanted, cache: Path | None) -> Examples:
    """Do what `load_examples` does; of a large source, one process reads it for all, and for the runs that follow.

    Args:
        wanted: the source, and what of it.
        cache: folder of the cache; None: the data sets library's.

    Raises:
        DataError: as `load_examples`, or the source has changed while it was read.
        StorageError: the cache cannot be written.

    """
    before = _versions(wanted)
    if sum(size for size, *_ in before.values()) < SMALL:
        return load_examples(**vars(wanted))

    def write(folder: Path) -> None:
        _write_examples(folder, wanted)
        if _versions(wanted) != before:
            raise DataError(f"{wanted.source}: has changed while it was read; wanted files that stay as they are")

    return _read_examples(stored(cache_root(cache), _key(wanted, before), write))


def _versions(wanted: Wanted) -> dict[Path, tuple[int, int, int]]:
    """Return the files of a source in their order, each with its size in bytes, time and inode."""
    with damage_named(wanted.source):
        found = source_files(wanted.source, split=wanted.split, config=wanted.config)
        return {file: (it.st_size, it.st_mtime_ns, it.st_ino) for file, it in ((file, file.stat()) for file in found)}


def _key(wanted: Wanted, found: Iterable[Path]) -> str:
    chosen = (wanted.split, wanted.own_split, wanted.purpose, wanted.config.on_bad_example)
    digest = hashlib.sha256(repr((chosen, _reading_code())).encode())
    with damage_named(wanted.source):
        for file in found:
            with file.open("rb") as content:
                digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()[:32]


def _reading_code() -> list[str]:
    """Return what stands for the code that reads sources: versions of others', hashes of our own."""
    own = sorted((file for file in files("qa.data").iterdir() if file.name.endswith(".py")), key=str)
    versions = [platform.python_version(), datasets.__version__, pa.__version__]
    return versions + [hashlib.sha256(file.read_bytes()).hexdigest() for file in own]


def _write_examples(folder: Path, wanted: Wanted) -> None:
    """Read and check a source table by table, twice: what its last row tells decides about the first."""
    sieve = Sieve(wanted.source, wanted.config.on_bad_example, wanted.purpose)
    _write_tables(folder / _UNSETTLED, sieve.tables(_rows(wanted)))
    left = _write_tables(folder / _ROWS, sieve.all_settled(_tables_of(folder / _UNSETTLED)))
    (folder / _UNSETTLED).unlink()
    problems = good_problems(sieve, left=left)
    facts = {
        "fingerprint": Examples(rows=_mapped(folder)).fingerprint,
        "problems": [asdict(problem) for problem in problems],
        "notes": sieve.notes,
    }
    (folder / _FACTS).write_text(json.dumps(facts), encoding="ascii")  # ids may hold what UTF-8 cannot


def _rows(wanted: Wanted) -> Iterator[object]:
    with damage_named(wanted.source):  # else a source that is gone would be taken for a cache that fails
        yield from read_rows(wanted.source, split=wanted.split, config=wanted.config, own_split=wanted.own_split)


def _read_examples(folder: Path) -> Examples:
    facts = json.loads((folder / _FACTS).read_bytes())
    problems = tuple(DataProblem(**problem) for problem in facts["problems"])
    rows = _mapped(folder)
    return Examples(rows=rows, problems=problems, notes=tuple(facts["notes"]), hashed=(rows, facts["fingerprint"]))


def _mapped(folder: Path) -> datasets.Dataset:
    return datasets.Dataset.from_file(str(folder / _ROWS))


def _write_tables(path: Path, tables: Iterable[pa.Table]) -> int:
    """Write tables one after the other; return their rows."""
    count, writer = 0, None
    with contextlib.ExitStack() as stack:
        for table in tables:
            if writer is None:
                sink = stack.enter_context(pa.OSFile(str(path), "wb"))
                writer = stack.enter_context(pa.ipc.new_stream(sink, table.schema))
            writer.write_table(table)
            count += table.num_rows
    return count


def _tables_of(path: Path) -> Iterator[pa.Table]:
    with pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as batches:
        for batch in batches:
            yield pa.Table.from_batches([batch])
