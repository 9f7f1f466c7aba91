"""Where texts come from."""

import json

import pytest

from qa.adaptation.corpus import joined_by_title, read_texts
from qa.errors import DataError
from tests.support import tiny


def test_files_and_folders_of_plain_text_are_a_text_each(tmp_path):
    (tmp_path / "b.md").write_text("second\r\n", newline="", encoding="utf-8")
    (tmp_path / "a.TXT").write_text("\ufefffirst", encoding="utf-8")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "c.rst").write_text("third")
    (tmp_path / "in" / "d.png").write_bytes(b"\x89")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "e.txt").write_text("hidden")
    (tmp_path / "blank.txt").write_text(" \n")
    assert read_texts([str(tmp_path)], split="train") == ["first", "second\r\n", "third"]
    assert read_texts([str(tmp_path / "b.md"), str(tmp_path / "a.TXT")], split="train") == ["second\r\n", "first"]


def test_contexts_of_a_data_set_are_joined_by_title(tmp_path):
    rows = [
        tiny.example("Q?", "One.", "One", id="1", title="t"),
        tiny.example("R?", "One.", "One", id="2", title="t"),
        tiny.example("S?", "Two.", "Two", id="3", title="t"),
        tiny.example("T?", "Three.", id="4"),
    ]
    path = tmp_path / "data.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert read_texts([str(path)], split="train") == ["One.\n\nTwo.", "Three."]


def test_contexts_without_a_title_are_texts_by_themselves():
    assert list(joined_by_title([("", "a"), ("", "b"), ("", "a"), ("t", "a")])) == ["a", "b", "a"]


def test_what_is_no_text_is_named(tmp_path):
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    with pytest.raises(DataError, match=r"latin\.txt as UTF-8 text"):
        read_texts([str(tmp_path / "latin.txt")], split="train")
    (tmp_path / "latin.txt").write_text("  ")
    with pytest.raises(DataError, match="no text; wanted files of plain text"):
        read_texts([str(tmp_path / "latin.txt")], split="train")
