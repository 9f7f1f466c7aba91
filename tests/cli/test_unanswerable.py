"""`qa unanswerable`: what is written is a data set to train on, and what cannot be made is said."""

import json

import pytest

from qa.config import RunConfig
from qa.data.training_data import load_training_examples
from tests.support.commands import output
from tests.support.rows import load, row, write


@pytest.mark.parametrize("name", ["made.jsonl", "made.json", "made.parquet", "made.jsonl.gz"])
def test_what_is_written_is_trained_on_beside_the_source(capsys, tmp_path, name):
    out = tmp_path / name
    told = json.loads(output(capsys, "unanswerable", "sample", out, "--share", "0.1", "--json").out)
    alone, both = (
        load_training_examples(RunConfig(train_data="sample", more_train_data=more)) for more in ((), (str(out),))
    )
    assert 100 < told["examples"] <= told["drawn"] < 180
    assert len(both) == len(alone) + told["examples"]
    assert all(not one["text"] for one in both.rows["answers"][len(alone) :])


def test_standard_output_holds_the_questions_alone(capsys):
    told = output(capsys, "unanswerable", "sample", "-", "--share", "0.02")
    lines = [json.loads(line) for line in told.out.splitlines()]
    assert lines
    assert all(line["id"].endswith("-elsewhere") for line in lines)
    assert told.err.endswith(f"{len(lines)} unanswerable questions, of {len(lines)} that were drawn\n")


NO_ANSWERS = [{name: value for name, value in row(at).items() if name != "answers"} for at in range(2)]
IMPOSSIBLE = [row(at, answers={"text": [], "answer_start": []}) for at in range(2)]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([row(0), row(1)], "none of 2 questions has another context that shares words with it"),
        (NO_ANSWERS, "has no references; wanted answers"),
        (IMPOSSIBLE, "none of 2 questions is answerable and drawn"),
    ],
    ids=["one context", "no answers", "all impossible"],
)
def test_where_none_can_be_made_it_is_said_why_and_nothing_is_left(capsys, tmp_path, rows, told):
    source = write(tmp_path / "in.jsonl", rows)
    assert told in output(capsys, "unanswerable", source, tmp_path / "out.jsonl", "--share", "1", status=1).err
    assert not (tmp_path / "out.jsonl").exists()


def test_bad_rows_are_told(capsys, tmp_path):
    rows = [
        row(at, context=f"the cat sat {place}", text=place, start=12, question=f"Where sat the cat {at}?")
        for at, place in enumerate(("mat", "rug"))
    ]
    source = write(tmp_path / "in.jsonl", [*rows, row(9, context="")])
    flags = ("--on-bad-example", "skip", "--share", "1")
    told = output(capsys, "unanswerable", source, tmp_path / "out.jsonl", *flags)
    assert "1 bad rows of" in told.err
    assert len(load(tmp_path / "out.jsonl")) == 2


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
