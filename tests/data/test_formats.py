"""One file -> raw rows: every format by its content, and every way in which one can be damaged."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qa.config import DataConfig
from qa.data.sources import read_rows
from qa.errors import DataError
from tests.support.formats import ROWS, TEXTS, failure, flat, read
from tests.support.rows import write


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lambda text: b"\xef\xbb\xbf" + text], ids=["", "gz", "bom"])
@pytest.mark.parametrize("name", TEXTS)
def test_every_text_format_gives_the_rows_whatever_the_name(tmp_path, name, pack):
    path = write(tmp_path / "misleading.parquet", pack(TEXTS[name].encode()))
    assert [flat(row) for row in read(path)] == ROWS


def test_parquet_without_the_columns_that_nobody_reads_but_with_all_that_look_like_labels(tmp_path):
    path = tmp_path / "misleading.json"
    pq.write_table(pa.Table.from_pylist([{**row, "extra": 1, "my_labels": 2} for row in ROWS]), path)
    assert read(path) == [{**row, "my_labels": 2} for row in ROWS]


def test_a_file_of_one_json_line(tmp_path):
    assert read(write(tmp_path / "one", json.dumps(ROWS[0]))) == ROWS[:1]


def test_json_lines_are_read_one_at_a_time(tmp_path):
    path = write(tmp_path / "a.jsonl", TEXTS["lines"] + "{damaged")
    rows = read_rows(str(path), split="train", config=DataConfig())
    assert [next(rows) for _ in ROWS] == ROWS
    with pytest.raises(DataError, match="line 4, column 2"):
        next(rows)


@pytest.mark.parametrize("content", [b"", b" \n\t", b"\xef\xbb\xbf", gzip.compress(b"", mtime=0)])
def test_an_empty_file_is_named(tmp_path, content):
    assert "a.json: the file is empty" in failure(write(tmp_path / "a.json", content))


@pytest.mark.parametrize(
    "content", [b"\x89PNG\r\n\x1a\n", b"just some prose, with a comma", "prose".encode("utf-16"), b"nr;size\n1;2\n"]
)
def test_an_unknown_format_lists_what_is_accepted(tmp_path, content):
    message = failure(write(tmp_path / "a.json", content))
    assert "unknown format, starting with b" in message
    assert all(
        word in message for word in ("SQuAD JSON, nested", "JSON Lines", "CSV", "Parquet", "save_to_disk", "UTF-8")
    )


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ('{"data": [\n  {"title": "x",\n', "line 3, column 1"),
        ('[{"id": "1"}', "line 1, column 13"),
        ('{"id": "1", "context": "tru', "line 1, column 24"),
        ('{"id": "1"}\n{"id": "2", \n', "line 2, column 12"),
        ('{"id": "1"}\n[2]\n', "line 2, column 1"),
        ('{"id": "1", "context": "raw\nbreak"}', "line 1, column 28"),
    ],
)
def test_broken_json_says_line_and_column(tmp_path, content, place):
    assert f"a: {place} is not JSON" in failure(write(tmp_path / "a", content))


@pytest.mark.parametrize("content", ["[" * 100_000, '{"id": ' + "9" * 5000 + "}"])
def test_json_that_python_refuses_is_named(tmp_path, content):
    assert "a: JSON from line 1 cannot be read" in failure(write(tmp_path / "a", content))


def test_parquet_without_a_needed_column_and_truncated(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": ["1"], "page": ["c"], "question": ["q"]}), path)
    assert "no column context; found ['id', 'page', 'question']; wanted id, context, question" in failure(path)
    write(path, path.read_bytes()[:-20])
    assert "a.parquet: cannot be read: ArrowInvalid" in failure(path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_bytes_give_rows_or_a_named_error(tmp_path, data):
    name = data.draw(st.sampled_from(sorted(TEXTS)))
    content = bytearray(TEXTS[name].encode())
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(content)))
        content[start : start + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    path = write(tmp_path / "a", bytes(content[: data.draw(st.integers(0, len(content)))]))
    try:
        read(path)
    except DataError as error:
        message = str(error)
        assert str(path) in message
