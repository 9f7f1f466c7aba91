"""A job: files of rows -> a folder with a file of answered rows for each shard.

Shards are a function of the data alone, and each is written under a name of its own attempt and then renamed: whatever
engine runs them, in whatever order, some of them twice, the files are the same. What is there is not done again.

    part-00000.jsonl   a shard's rows with their answers, in the order of the data; or .parquet
    _job.json          what they are made of, so that only the same work is gone on with
    _SUCCESS           all are there
    _FAILURE           why the job ended; whoever runs it stops when it appears
"""

import contextlib
import dataclasses
import json
import shutil
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pyarrow as pa

from qa.data.formats import damage_named
from qa.data.text_files import start_of
from qa.errors import DataError, JobError, QAError, StorageError, UsageError
from qa.files import flush_to_disk, write_json, write_whole
from qa.jobs.answering import ReaderSpec
from qa.jobs.lines import answer_lines, line_pieces, require_readable
from qa.jobs.parquet import answer_groups, common_schema, group_pieces
from qa.jobs.pieces import PIECE_BYTES, Piece, Tally, data_files, shards

_ORIGIN, _SUCCESS, _FAILURE = "_job.json", "_SUCCESS", "_FAILURE"
_PARQUET = b"PAR1"
DONE = pa.schema({"shard": pa.int64(), "rows": pa.int64(), "errors": pa.int64(), "failure": pa.string()})
"""Columns of `Done`, as engines hand them on."""


class Done(NamedTuple):
    """What became of a shard."""

    shard: int
    rows: int = 0
    errors: int = 0
    failure: str | None = None
    """Why the job cannot go on; None: the shard is there."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is answered, and where to: what travels to the processes of an engine. All of them see the same files."""

    reader: ReaderSpec
    out: Path
    format: Literal["jsonl", "parquet"]
    shards: tuple[tuple[Piece, ...], ...]
    schema: pa.Schema | None
    """Of all Parquet files; None: JSON Lines, where a row has the names it has."""
    kept: tuple[str, ...] | None
    """Columns that are carried over; None: all."""

    def path(self, shard: int) -> Path:
        """Return the file of a shard."""
        return self.out / f"part-{shard:05d}.{self.format}"

    @property
    def left(self) -> list[int]:
        """The shards that are not there."""
        return [shard for shard in range(len(self.shards)) if not self.path(shard).exists()]

    @property
    def origin(self) -> dict[str, Any]:
        """What the files are made of, as JSON has it."""
        files = sorted({piece.path for shard in self.shards for piece in shard})
        stats = [(path, Path(path).stat()) for path in files]
        value = {
            "reader": dataclasses.asdict(self.reader),
            "columns": self.kept,
            "files": [[path, stat.st_size, stat.st_mtime_ns] for path, stat in stats],
            "shards": len(self.shards),
        }
        return dict(json.loads(json.dumps(value, default=str)))


def plan_job(
    reader: ReaderSpec, source: Path, out: Path, *, kept: Sequence[str] | None = None, size: int = PIECE_BYTES
) -> Job:
    """Look at the data and cut it into shards.

    Args:
        reader: what answers.
        source: a file or folder of JSON Lines, also gzipped, or of Parquet.
        out: folder for the answered rows.
        kept: columns that are carried over; None: all.
        size: bytes of data in a shard, about.

    Raises:
        UsageError: a folder among the data.
        DataError: no data, of both kinds or of neither, damaged, or without questions or contexts.
        ConfigError: a column has the name of one that answers are written to.

    """
    source, out = source.absolute(), out.absolute()
    if out.is_relative_to(source):
        raise UsageError(f"{out} lies in the data, {source}; wanted a folder elsewhere")
    paths = data_files(source)
    are_parquet = {_is_parquet(path) for path in paths if path.stat().st_size}
    if len(are_parquet) > 1:
        raise DataError(f"{source}: found Parquet and other files; wanted one kind")
    schema = None
    if are_parquet == {True}:
        paths = [path for path in paths if path.stat().st_size]
        schema = common_schema(paths, kept, reader.top_k)
    else:
        for path in paths:
            require_readable(path, kept, reader.top_k)
    cut = line_pieces if schema is None else group_pieces
    return Job(
        reader=reader,
        out=out,
        format="jsonl" if schema is None else "parquet",
        shards=tuple(shards((piece for path in paths for piece in cut(path, size)), size)),
        schema=schema,
        kept=None if kept is None else tuple(kept),
    )


def _is_parquet(path: Path) -> bool:
    with damage_named(path):
        return start_of(path).startswith(_PARQUET)


def begin_job(job: Job, *, overwrite: bool = False, resume: bool = False) -> None:
    """Make room for a job, or for what is left of it.

    Raises:
        UsageError: something is there and may not be replaced, or is gone on with that is made of something else.
        StorageError: the folder cannot be written.

    """
    if overwrite and resume:
        raise UsageError("found --overwrite and --resume; wanted one of them")
    is_there = job.out.exists()
    if is_there and not (job.out / _ORIGIN).is_file():
        raise UsageError(f"{job.out} exists, and is not what a job makes; wanted another name")
    if is_there and not (overwrite or resume):
        raise UsageError(f"{job.out} exists; wanted another name, --resume or --overwrite")
    if is_there and resume:
        _require_same(job)
    try:
        if overwrite:
            shutil.rmtree(job.out, ignore_errors=True)
        job.out.mkdir(parents=True, exist_ok=True)
        for path in (job.out / _FAILURE, job.out / _SUCCESS, *job.out.glob(".part-*")):
            path.unlink(missing_ok=True)
        write_json(job.out / _ORIGIN, job.origin)
    except OSError as error:
        raise StorageError(f"cannot write {job.out}: {error.strerror}") from error


def _require_same(job: Job) -> None:
    path = job.out / _ORIGIN
    try:
        found: dict[str, Any] = dict(json.loads(path.read_bytes()))
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {path}, of what the job is made: {error}") from error
    differing = [name for name, value in job.origin.items() if found.get(name) != value]
    if differing:
        told = (f"{name}: {found.get(name)!r:.200} there and {job.origin[name]!r:.200} here" for name in differing)
        raise UsageError(f"{job.out} is made of something else: {'; '.join(told)}")


def answer_shard(job: Job, shard: int) -> Done:
    """Answer the rows of a shard into its file, unless it is there, or the job has failed.

    What is at fault for good, reader or storage, is told, so that no engine tries it again and others stop too.
    """
    try:
        if (job.out / _FAILURE).exists():
            return Done(shard, failure=(job.out / _FAILURE).read_text(encoding="utf-8"))
        if job.path(shard).exists():
            return Done(shard)
        return Done(shard, *_answer_into_place(job, shard))
    except (QAError, OSError) as error:
        failure = f"{job.path(shard).name}: {type(error).__name__}: {error}"
        with contextlib.suppress(StorageError):  # as full as it was for the shard: the others find that out themselves
            write_whole(job.out / _FAILURE, failure)
        return Done(shard, failure=failure)


def _answer_into_place(job: Job, shard: int) -> Tally:
    answering = job.reader.load()
    attempt = job.out / f".{job.path(shard).name}.{uuid.uuid4().hex}"  # engines may do a shard twice at a time
    try:
        if job.schema is None:
            tally = answer_lines(job.shards[shard], attempt, answering, job.kept)
        else:
            tally = answer_groups(job.shards[shard], attempt, answering, job.schema, job.kept)
        flush_to_disk(attempt)
        attempt.replace(job.path(shard))
        flush_to_disk(job.out)
    finally:
        attempt.unlink(missing_ok=True)
    return tally


def finish_job(job: Job, dones: Iterator[Done]) -> Tally:
    """Follow a job to its end; return how many rows were answered, and how many failed.

    Raises:
        JobError: it cannot go on.

    """
    tally = Tally(0, 0)
    for done in dones:
        if done.failure is not None:
            raise JobError(f"{done.failure}; what was done is in {job.out}, --resume goes on from there")
        tally = Tally.sum((tally, Tally(done.rows, done.errors)))
    if not job.left:
        write_whole(job.out / _SUCCESS, "")
    return tally
