"""Parquet in pieces: one schema for all files, and damage that stays where it is."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from qa.errors import ConfigError, DataError
from qa.jobs.parquet import answer_groups, common_schema, group_pieces
from qa.jobs.pieces import Tally
from qa.jobs.tables import answer_schema
from tests.support.predictors import pairs

ROWS = [row | {"id": f"q{at}", "meta": {"n": at}} for at, row in enumerate(pairs(7))]
TABLE = pa.Table.from_pylist(ROWS)


def written(path, table=TABLE, rows=2):
    pq.write_table(table, path, row_group_size=rows)
    return path


def answered(paths, answering, target, *, size=1 << 20, kept=None):
    schema = common_schema(paths, kept, 1)
    pieces = [piece for path in paths for piece in group_pieces(path, size)]
    tally = answer_groups(pieces, target, answering, schema, kept)
    return tally, pq.read_table(target)


@pytest.mark.parametrize("size", [1, 1200, 1 << 20])
def test_rows_are_read_once_however_a_file_is_cut(answering, tmp_path, size):
    path = written(tmp_path / "ü x.parquet")
    pieces = list(group_pieces(path, size))
    assert [piece.begin for piece in pieces[1:]] == [piece.end for piece in pieces[:-1]]
    tally, found = answered([path], answering, tmp_path / "out", size=size)
    assert tally == Tally(7, 0)
    assert found.select(TABLE.column_names) == TABLE
    assert found.schema == pa.schema([*TABLE.schema, *answer_schema()])


def test_files_of_other_types_have_one_schema(answering, tmp_path):
    note = TABLE.append_column("note", pa.nulls(7))
    text = TABLE.append_column("note", pa.array(["n"] * 7))
    coded = TABLE.set_column(2, "id", TABLE["id"].cast(pa.dictionary(pa.int32(), pa.string())))
    large = TABLE.set_column(1, "context", TABLE["context"].cast(pa.large_string()))
    tables = (note, text, coded, large, TABLE.select(["meta", "id", "context", "question"]))
    paths = [written(tmp_path / f"{at}.parquet", table) for at, table in enumerate(tables)]
    tally, found = answered(paths, answering, tmp_path / "out")
    assert tally == Tally(35, 0)
    assert found["id"].to_pylist() == TABLE["id"].to_pylist() * 5
    assert found["note"].to_pylist() == [None] * 7 + ["n"] * 7 + [None] * 21
    assert found.schema.field("note").type == pa.string()
    assert found["answer"].to_pylist() == found["answer"].to_pylist()[:7] * 5


def test_files_whose_types_have_no_common_one_are_refused(tmp_path):
    other = TABLE.set_column(3, "meta", pa.array(range(7)))
    paths = [written(tmp_path / "a"), written(tmp_path / "b", other)]
    with pytest.raises(DataError, match=r"files whose columns differ: .*meta"):
        common_schema(paths, None, 1)


def test_an_empty_file_leaves_its_schema(answering, tmp_path):
    tally, found = answered([written(tmp_path / "a", TABLE.slice(0, 0))], answering, tmp_path / "out")
    assert tally == Tally(0, 0)
    assert found.column_names == [*TABLE.column_names, *answer_schema().names]


def test_damage_is_an_error_where_it_is_and_the_other_pieces_are_answered(answering, tmp_path):
    path = written(tmp_path / "a", rows=3)
    content = bytearray(path.read_bytes())
    at = pq.read_metadata(path).row_group(1).column(0).dictionary_page_offset
    content[at : at + 40] = b"\xff" * 40
    path.write_bytes(content)
    tally, found = answered([path], answering, tmp_path / "out", size=1)
    assert tally == Tally(5, 1)
    (error,) = [text for text in found["error"].to_pylist() if text]
    assert error.startswith(f"{path}: row group 1, row 0: cannot be read from there on")
    with pytest.raises(DataError, match="cannot be read"):
        list(group_pieces(written_torn(tmp_path / "torn"), 1))


def written_torn(path):
    content = written(path).read_bytes()
    path.write_bytes(content[:-20])
    return path


def test_columns_are_checked_before_anything_is_answered(answering, tmp_path):
    path = written(tmp_path / "a")
    assert answered([path], answering, tmp_path / "out", kept=["id"])[1].column_names == ["id", *answer_schema().names]
    with pytest.raises(DataError, match="no column nothing to keep"):
        common_schema([path], ["nothing"], 1)
    with pytest.raises(ConfigError, match="answer"):
        common_schema([written(tmp_path / "b", TABLE.rename_columns({"id": "answer"}))], None, 1)
    with pytest.raises(DataError, match="no column question"):
        common_schema([written(tmp_path / "c", TABLE.select(["context"]))], None, 1)
