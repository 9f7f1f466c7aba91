"""JSON Lines in pieces: no line lost, doubled or torn, and what is no row has an error."""

import gzip
import json

import pytest

from qa.errors import ConfigError, DataError
from qa.jobs.lines import answer_lines, line_pieces, require_readable
from qa.jobs.pieces import Tally
from tests.support.commands import read_lines
from tests.support.predictors import pairs
from tests.support.rows import write

ROWS = [row | {"id": at} for at, row in enumerate(pairs(7))]


@pytest.mark.parametrize("size", [40, 500, 1 << 20])
@pytest.mark.parametrize("ending", ["", "\n", "\n\n \n"])
def test_lines_are_read_once_however_a_file_is_cut(answering, tmp_path, size, ending):
    path = tmp_path / "ü x.jsonl"
    path.write_text("\ufeff" + "\r\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS) + ending)
    pieces = list(line_pieces(path, size))
    assert pieces[0].begin == 0
    assert pieces[-1].end == path.stat().st_size
    assert answer_lines(pieces, tmp_path / "out", answering) == Tally(7, 0)
    assert [line["id"] for line in read_lines(tmp_path / "out")] == list(range(7))


def test_a_packed_file_is_one_piece(answering, tmp_path):
    path = write(tmp_path / "x.jsonl.gz", ROWS)
    (piece,) = line_pieces(path, 10)
    assert answer_lines([piece], tmp_path / "out", answering) == Tally(7, 0)


def test_rows_carry_over_all_that_they_say(answering, tmp_path):
    extra = {"id": None, "meta": {"a": [1, None, {"b": 2**70}]}, "note": "\ud800 ü", "nan": float("inf")}
    path = write(tmp_path / "x.jsonl", [ROWS[0] | extra, ROWS[0]])
    answer_lines(list(line_pieces(path, 1 << 20)), tmp_path / "out", answering)
    first, second = read_lines(tmp_path / "out")
    assert {name: first[name] for name in extra} == extra
    assert list(second)[:3] == ["question", "context", "id"]
    assert first["answer"] == second["answer"]
    answer_lines(list(line_pieces(path, 1 << 20)), tmp_path / "out", answering, ["meta"])
    assert list(read_lines(tmp_path / "out")[0])[:2] == ["meta", "score"]


def test_what_is_no_row_is_a_row_with_an_error(answering, tmp_path):
    lines = [
        json.dumps(ROWS[0]),
        "{",
        "[1]",
        '{"question": "Who?"}',
        '{"question": "Who?", "context": "c", "score": 1}',
    ]
    path = tmp_path / "x.jsonl"
    path.write_bytes("\n".join(lines).encode() + b'\n{"question": "\xff"}\n' + json.dumps(ROWS[1]).encode())
    assert answer_lines(list(line_pieces(path, 1 << 20)), tmp_path / "out", answering) == Tally(7, 5)
    found = read_lines(tmp_path / "out")
    errors = [line["error"] for line in found]
    at = len(lines[0]) + 1
    assert errors[0] is errors[-1] is None
    assert errors[1].startswith(f"{path}: byte {at} is no JSON")
    assert errors[2].endswith("is list; wanted an object")
    assert errors[3].startswith("no column context")
    assert errors[4].startswith("found the columns score")
    assert "is no JSON: 'utf-8' codec" in errors[5]
    assert len({line["answer"] is None for line in found[1:-1]}) == 1


def test_the_rest_of_a_damaged_file_is_one_error(answering, tmp_path):
    path = tmp_path / "x.jsonl.gz"
    whole = gzip.compress("".join(json.dumps(row) + "\n" for row in ROWS * 300).encode(), mtime=0)
    path.write_bytes(whole[: len(whole) // 2])
    rows, errors = answer_lines(list(line_pieces(path, 10)), tmp_path / "out", answering)
    assert rows > errors == 1
    last = read_lines(tmp_path / "out")[-1]
    assert last["error"].startswith(f"{path}: cannot be read from byte")


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_an_empty_file_has_no_rows(answering, tmp_path, content):
    path = write(tmp_path / "x.jsonl", content)
    require_readable(path, None, 1)
    assert answer_lines(list(line_pieces(path, 10)), tmp_path / "out", answering) == Tally(0, 0)
    assert (tmp_path / "out").read_bytes() == b""


def test_a_file_that_can_have_no_answers_is_refused(tmp_path):
    with pytest.raises(DataError, match="wanted JSON Lines"):
        require_readable(write(tmp_path / "x", "question,context\n"), None, 1)
    with pytest.raises(DataError, match="no column context"):
        require_readable(write(tmp_path / "x.jsonl", [{"question": "q"}]), None, 1)
    with pytest.raises(ConfigError, match="error"):
        require_readable(write(tmp_path / "x.jsonl", [ROWS[0] | {"error": 1}]), None, 1)
    require_readable(tmp_path / "x.jsonl", ["id"], 1)
