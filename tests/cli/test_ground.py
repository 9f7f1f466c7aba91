"""`qa ground`: where files have what an answer says."""

import json
import sys

import pytest

from qa.cli.main import main
from tests.support import tiny
from tests.support.commands import stdin
from tests.support.predictors import saved

SOURCE = "The lighthouse was built in 1871\nby Ragna Lund. It is 34 metres tall."


@pytest.fixture
def files(tmp_path):
    (tmp_path / "a.txt").write_text("Nothing of it.", encoding="utf-8")
    (tmp_path / "b.txt").write_bytes(SOURCE.encode())
    return tmp_path / "a.txt", tmp_path / "b.txt"


def run(capsys, *arguments, status=0):
    assert main(["ground", *map(str, arguments)]) == status
    return capsys.readouterr()


def rows(capsys, *arguments):
    return [json.loads(line) for line in run(capsys, *arguments, "--json").out.splitlines()]


def test_an_answer_comes_from_the_command_line_a_file_or_standard_input(capsys, files, monkeypatch, tmp_path):
    answer = "It is 34 metres tall. It fell."
    (tmp_path / "answer.txt").write_text(answer, encoding="utf-8")
    said = rows(capsys, *files, "--answer", answer)
    assert [(row["verdict"], row["source"]) for row in said] == [("verbatim", 1), ("unsupported", None)]
    assert rows(capsys, *files, "--file", tmp_path / "answer.txt") == said
    for named in ((), ("--file", "-")):
        monkeypatch.setattr(sys, "stdin", stdin(answer.encode()))
        assert rows(capsys, *files, *named) == said


def test_a_source_comes_from_standard_input_where_the_answer_does_not(capsys, files, monkeypatch):
    sources = [file.read_bytes() for file in files]
    wanted = rows(capsys, *files, "--answer", "It is 34 metres tall.")
    for at, content in enumerate(sources):
        monkeypatch.setattr(sys, "stdin", stdin(content))
        named = [*files[:at], "-", *files[at + 1 :]]
        assert rows(capsys, *named, "--answer", "It is 34 metres tall.") == wanted
    for twice in (["-"], ["-", "--file", "-"], ["-", "-", "--answer", "It fell."]):
        assert "found standard input as two texts" in run(capsys, *twice, status=2).err


def test_quotes_are_looked_for_as_they_are(capsys, files):
    found = rows(capsys, *files, "--quotes", "built in 1871 by Ragna Lund", "built. In")
    assert [(row["verdict"], row["text"]) for row in found] == [
        ("moved", "built in 1871\nby Ragna Lund"),
        ("unsupported", ""),
    ]


def test_a_table_names_the_file_and_the_place(capsys, files):
    out = run(capsys, *files, "--quotes", "Ragna Lund").out.split("\n")[1].split()
    assert out[:4] == ["verbatim", "1", "b.txt", "36–46"]


def test_a_model_looks_for_paraphrases_and_the_least_score_decides(capsys, tmp_path):
    """Of a source of one token that token is the answer, whatever the model."""
    word = tiny.one_token_word()
    (tmp_path / "source.txt").write_text(word, encoding="utf-8")
    options = (tmp_path / "source.txt", "--quotes", f"someone had a {word} here", "--model", saved(tmp_path / "model"))
    (found,) = rows(capsys, *options, "--min-score", 0)
    assert (found["verdict"], found["text"]) == ("paraphrased", word)
    assert 0 < found["score"] < 1
    (unsure,) = rows(capsys, *options, "--min-score", 1)
    assert (unsure["verdict"], unsure["text"], unsure["score"]) == ("unsupported", "", found["score"])
    assert run(capsys, *options, "--backend", "onnx", status=1).err.startswith("error: model")
    assert run(capsys, *options, "--min-score", 2, status=1).err == "error: min_score is 2.0; wanted a share, 0 to 1\n"


def test_what_cannot_be_read_or_is_said_twice_is_a_line(capsys, files, tmp_path):
    assert run(capsys, tmp_path / "none", "--answer", "x", status=1).err.startswith("error: cannot read")
    found = run(capsys, *files, "--answer", "x", "--quotes", "y", status=2).err
    assert found == "error: found --answer and --quotes; wanted one of them\n"
