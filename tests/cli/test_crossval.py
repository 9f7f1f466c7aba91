"""`qa crossval`: every example answered once, by a run that did not train on its context."""

import json
from pathlib import Path

import pytest

import qa
from qa.cli.main import main
from tests.support import tiny
from tests.support.finished import ROWS, write_data
from tests.support.sweeps import answering, calls, write_program

ROOT = Path(qa.__file__).parents[1]
WRONG = {row["id"] for row in ROWS[:6]}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    write_program(tmp_path, answering(WRONG))
    write_data(tmp_path / "own.jsonl")
    return tmp_path


def crossval(capsys, *arguments, status=0):
    capsys.readouterr()
    assert main(["crossval", *map(str, arguments)]) == status
    return capsys.readouterr()


def rows(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def parts(words):
    named = dict(word.removeprefix("--").partition("=")[::2] for word in words if "=" in word)
    return rows(named["train-data"]), rows(named["validation-data"])


def test_every_example_is_in_one_fold_and_no_context_in_two(capsys, here):
    crossval(capsys, "own.jsonl", "--folds", "3", "--out", "out")
    found = [parts(words) for (words,) in calls(here / "out", "fold=*").values()]
    assert len(found) == 3
    held_out = [row["id"] for _, validation in found for row in validation]
    assert sorted(held_out) == sorted(row["id"] for row in ROWS)
    for train, validation in found:
        assert len(train) + len(validation) == len(ROWS)
        assert not {row["context"] for row in train} & {row["context"] for row in validation}
    for (words,) in calls(here / "out", "fold=*").values():
        assert words[0] == "few-labels"
        assert "--training.evaluate-every=0" in words


def test_answers_of_all_folds_are_scored_and_read_like_those_of_a_run(capsys):
    found = json.loads(crossval(capsys, "own.jsonl", "--folds", "2", "--out", "out", "--json").out)
    right = len(ROWS) - len(WRONG)
    assert found["scores"]["exact"] == pytest.approx(100 * right / len(ROWS))
    mean, low, high = found["all_examples"]["exact"].values()
    assert mean == pytest.approx(found["scores"]["exact"])
    assert low < mean < high
    assert sum(fold["examples"] for fold in found["folds"]) == len(ROWS)
    capsys.readouterr()
    assert main(["errors", "out", "--json"]) == 0
    errors = json.loads(capsys.readouterr().out)
    assert errors["examples"] == len(ROWS)
    assert {one["id"] for one in errors["errors"]} == WRONG
    assert "all 60 examples" in crossval(capsys, "own.jsonl", "--folds", "2", "--out", "out").out


def test_the_same_command_goes_on_and_other_data_are_other_runs(capsys, here):
    crossval(capsys, "own.jsonl", "--folds", "2", "--out", "out")
    crossval(capsys, "own.jsonl", "--folds", "2", "--out", "out")
    assert [len(times) for times in calls(here / "out", "fold=*").values()] == [1, 1]
    crossval(capsys, "own.jsonl", "--folds", "2", "--seed", "5", "--out", "out")
    assert len(calls(here / "out", "fold=*")) == 4
    write_data(here / "own.jsonl", ROWS[:40])
    crossval(capsys, "own.jsonl", "--folds", "2", "--out", "out")
    assert len(calls(here / "out", "fold=*")) == 6


def test_a_failed_fold_is_named(capsys, here):
    write_program(here, "sys.exit(3)")
    assert "2 of 2 runs failed" in crossval(capsys, "own.jsonl", "--folds", "2", status=1).err
    assert (here / "runs" / "crossval-own").is_dir()
    assert "wanted 2 or more" in crossval(capsys, "own.jsonl", "--folds", "1", status=2).err
    write_data(here / "one.jsonl", [tiny.example("Who?", "Nobody.", id="a")])
    assert "do not make 5 parts" in crossval(capsys, "one.jsonl", status=1).err


@pytest.mark.slow
@pytest.mark.processes
def test_real_runs_are_joined(capsys, here):
    reader = tiny.save_reader(here / "reader")
    command = (
        f"${{interpreter}} {ROOT / 'train_qa.py'} few-labels --model {reader} --features.max-length=96 "
        "--features.doc-stride=24 --features.max-question-length=24 --training.max-steps=2 --tracking.report-to=none"
    )
    write_data(here / "few.jsonl", ROWS[:16])
    found = json.loads(
        crossval(capsys, "few.jsonl", "--folds", "2", "--out", "real", "--command", command, "--json").out
    )
    assert 0 <= found["all_examples"]["f1"]["mean"] <= 100
    assert len(json.loads((here / "real" / "predictions.json").read_text())) == 16


def test_runs_that_are_to_find_all_answers_are_refused_before_the_first(capsys, here):
    command = "${interpreter} ${program} few-labels --head tokens --data.answers all"
    err = crossval(capsys, "own.jsonl", "--folds", "2", "--out", "out", "--command", command, status=2).err
    assert "the runs are to find all answers" in err
    assert not calls(here / "out", "fold=*")
