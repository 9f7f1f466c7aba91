"""Files and shards."""

import itertools
from pathlib import Path

import pytest

from qa.errors import DataError
from qa.jobs.pieces import Piece, Tally, data_files, shards


def test_files_are_found_by_name_and_hidden_ones_are_not(tmp_path):
    for name in ("b.jsonl", "a/z.jsonl", "a.jsonl", "a/_SUCCESS", ".part/x.jsonl", "ü b/c.jsonl", "_temporary/y"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    found = [str(path.relative_to(tmp_path)) for path in data_files(tmp_path)]
    assert found == ["a/z.jsonl", "a.jsonl", "b.jsonl", "ü b/c.jsonl"]
    assert data_files(tmp_path / "a.jsonl") == [tmp_path / "a.jsonl"]


def test_nothing_there_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(DataError, match="no file, or a folder without any"):
            data_files(Path(path))


@pytest.mark.parametrize("size", [1, 10, 25, 1000])
def test_shards_hold_all_pieces_in_order(size):
    pieces = [Piece(str(at), 0, 1, at % 12) for at in range(30)]
    found = list(shards(pieces, size))
    assert [piece for shard in found for piece in shard] == pieces
    for shard in found:
        assert len(shard) == 1 or sum(piece.size for piece in shard) <= size
    for one, other in itertools.pairwise(found):
        assert sum(piece.size for piece in one) + other[0].size > size


def test_without_pieces_there_is_one_empty_shard():
    assert list(shards([], 10)) == [()]


def test_tallies_are_added():
    assert Tally.sum([Tally(3, 1), Tally(4, 0)]) == Tally(7, 1)
    assert Tally.sum([]) == Tally(0, 0)
