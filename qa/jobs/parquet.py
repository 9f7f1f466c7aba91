"""Parquet: pieces of files, one schema for all of them, and the rows with answers."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from qa.data.columns import text_columns
from qa.data.formats import damage_named
from qa.errors import DataError, in_a_line
from qa.inference.inputs import INPUTS_AT_ONCE
from qa.jobs.answering import Answering
from qa.jobs.pieces import Piece, Tally
from qa.jobs.tables import answer_schema, answered_table, require_free

_GROUP_BYTES = 64 << 20
"""Of rows that are written as one row group."""


def group_pieces(path: Path, size: int) -> Iterator[Piece]:
    """Cut a file between its row groups into pieces of `size` bytes or, for a larger row group, more.

    Raises:
        DataError: the file is damaged.

    """
    with damage_named(path):
        footer = pq.read_metadata(path)
    sizes = [footer.row_group(at).total_byte_size for at in range(footer.num_row_groups)]
    begin = total = 0
    for at, of_group in enumerate(sizes):
        if at > begin and total + of_group > size:
            yield Piece(str(path), begin, at, total)
            begin, total = at, 0
        total += of_group
    yield Piece(str(path), begin, len(sizes), total)


def common_schema(paths: Sequence[Path], kept: Sequence[str] | None, top_k: int) -> pa.Schema:
    """Return the columns that the rows of all files have room in: missing ones are null, dictionaries are spelled out.

    Raises:
        DataError: a damaged file, columns of types that no type has room for, or none of questions or contexts.
        ConfigError: a column has the name of one that answers are written to, or a kept one is not there.

    """
    schemas = []
    for path in paths:
        with damage_named(path):
            schemas.append(_spelled_out(pq.read_schema(path)))
    try:
        schema = pa.unify_schemas(schemas, promote_options="permissive")
    except pa.ArrowException as error:
        raise DataError(f"{paths[0].parent}: files whose columns differ: {in_a_line(error)}") from error
    text_columns(schema.names)
    missing = [name for name in kept or () if name not in schema.names]
    if missing:
        raise DataError(f"no column {', '.join(missing)} to keep; found {schema.names}")
    require_free(schema.names if kept is None else kept, top_k)
    return schema


def _spelled_out(schema: pa.Schema) -> pa.Schema:
    return pa.schema([field.with_type(_plain(field.type)).with_nullable(True) for field in schema])


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def answer_groups(
    pieces: Sequence[Piece], target: Path, answering: Answering, schema: pa.Schema, kept: Sequence[str] | None = None
) -> Tally:
    """Answer the rows of pieces into a new file; return how many there were, and how many failed.

    What of a file is damaged becomes a row with an error.

    Raises:
        OSError: the new file cannot be written.

    """
    rows = errors = 0
    written = _written(schema, answering, kept)
    with pq.ParquetWriter(target, written) as writer:
        held: list[pa.Table] = []
        for found in itertools.chain.from_iterable(_tables(piece, schema) for piece in pieces):
            if isinstance(found, pa.Table):
                table = answered_table(found, answering, kept)
            else:
                table = pa.Table.from_pylist([dict.fromkeys(written.names) | answering.failed(found)], schema=written)
            rows += table.num_rows
            errors += table.num_rows - table["error"].null_count
            held.append(table)
            if sum(one.nbytes for one in held) >= _GROUP_BYTES:
                writer.write_table(pa.concat_tables(held))
                held = []
        if held:
            writer.write_table(pa.concat_tables(held))
    return Tally(rows, errors)


def _written(schema: pa.Schema, answering: Answering, kept: Sequence[str] | None) -> pa.Schema:
    names = schema.names if kept is None else kept
    return pa.schema([*(schema.field(name) for name in names), *answer_schema(answering.options.top_k)])


def _tables(piece: Piece, schema: pa.Schema) -> Iterator[pa.Table | str]:
    """Yield the rows of a piece, and what is wrong with the rest where that is damaged."""
    done = 0
    try:
        with pq.ParquetFile(piece.path) as file:
            for batch in file.iter_batches(INPUTS_AT_ONCE, row_groups=list(range(piece.begin, piece.end))):
                yield _fitted(batch, schema)
                done += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        yield f"{piece.path}: row group {piece.begin}, row {done}: cannot be read from there on: {in_a_line(error)}"


def _fitted(batch: pa.RecordBatch, schema: pa.Schema) -> pa.Table:
    """Return a batch with all columns of a schema, in its order and types."""
    columns = [
        batch[field.name].cast(field.type) if field.name in batch.schema.names else pa.nulls(batch.num_rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)
