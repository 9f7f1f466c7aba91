"""`qa unanswerable`: what is written is a data set to train on, and what cannot be made is said."""

import json

import pytest

from tests.support.commands import output
from tests.support.rows import load, row, write


def test_the_embedded_set_makes_questions_that_it_does_not_answer(capsys, tmp_path):
    out = tmp_path / "made.jsonl"
    told = json.loads(output(capsys, "unanswerable", "sample", out, "--share", "0.3", "--json").out)
    made = load(out)
    assert told["examples"] == len(made)
    assert told["of"] == 1746
    assert 300 < len(made) < 500
    assert all(not one["text"] for one in made.rows["answers"])


def test_standard_output_holds_the_questions_alone(capsys):
    told = output(capsys, "unanswerable", "sample", "-", "--share", "0.02")
    lines = [json.loads(line) for line in told.out.splitlines()]
    assert lines
    assert all(line["id"].endswith("-elsewhere") for line in lines)
    assert told.err.endswith(f"{len(lines)} unanswerable questions\n")


def test_one_context_makes_none(capsys, tmp_path):
    source = write(tmp_path / "in.jsonl", [row(0), row(1)])
    told = output(capsys, "unanswerable", source, tmp_path / "out.jsonl", "--share", "1", status=1)
    assert "none of 2 questions has another context" in told.err
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize("share", ["0", "1.5", "-1"])
def test_a_share_that_is_none_is_a_wrong_command_line(capsys, tmp_path, share):
    told = output(capsys, "unanswerable", "sample", tmp_path / "out.jsonl", "--share", share, status=2)
    assert "wanted more than 0, at most 1" in told.err


def test_references_need_no_places(capsys, tmp_path):
    answered = "Who came by train?,Anna came by train.,Anna\nWho left by train?,Bert left by train.,Bert\n"
    rows = f"question,context,answer\n{answered}"
    output(capsys, "unanswerable", write(tmp_path / "in.csv", rows), tmp_path / "out.jsonl", "--share", "1")
    made = load(tmp_path / "out.jsonl").rows
    assert made["context"][:] == ["Bert left by train.", "Anna came by train."]
