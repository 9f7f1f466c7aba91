"""`qa split`: parts and folds with no context in two of them."""

import json

import pytest

from tests.support.commands import output
from tests.support.rows import load, numbered, write


def test_split_puts_no_context_on_both_sides(capsys, tmp_path):
    source = write(tmp_path / "in.jsonl", numbered(20))
    told = json.loads(output(capsys, "split", source, tmp_path / "out", "--test", "0.2", "--json").out)
    assert told["files"] == {"train.jsonl": 28, "validation.jsonl": 4, "test.jsonl": 8}
    parts = [load(tmp_path / "out", split=split) for split in ("train", "validation", "test")]
    contexts = [set(part.rows["context"]) for part in parts]
    assert sum(map(len, contexts)) == len(set.union(*contexts)) == 20
    for part in parts:
        assert sum(not one["text"] for one in part.rows["answers"]) == len(part) // 2
    assert output(capsys, "split", source, tmp_path / "out", status=1).err.endswith("wanted a new folder\n")


@pytest.mark.parametrize(("by", "together"), [("context", "context"), ("title", "title")])
def test_folds_hold_every_example_once_for_validation(capsys, tmp_path, by, together):
    source = write(tmp_path / "in.jsonl", numbered(12))
    output(capsys, "split", source, tmp_path / "out", "--folds", "3", "--by", by, "--format", "parquet")
    seen = []
    for fold in (1, 2, 3):
        folder = tmp_path / "out" / f"fold-{fold}"
        train, validation = load(folder, split="train"), load(folder, split="validation")
        assert not set(train.rows[together]) & set(validation.rows[together])
        assert len(train) + len(validation) == 24
        seen += validation.rows["id"][:]
    assert sorted(seen) == sorted(row["id"] for row in numbered(12))


def test_split_is_the_same_for_the_same_seed(capsys, tmp_path):
    source = write(tmp_path / "in.jsonl", numbered(20))
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        output(capsys, "split", source, tmp_path / name, "--seed", seed)
    first, same, other = ((tmp_path / name / "validation.jsonl").read_bytes() for name in "abc")
    assert first == same != other


@pytest.mark.parametrize("flags", [("--validation", "1"), ("--validation", "0"), ("--folds", "1"), ("--test", "0.95")])
def test_shares_and_folds_that_are_none_are_a_wrong_command_line(capsys, tmp_path, flags):
    source = write(tmp_path / "in.jsonl", numbered(4))
    assert "wanted" in output(capsys, "split", source, tmp_path / "out", *flags, status=2).err
    assert not (tmp_path / "out").exists()
