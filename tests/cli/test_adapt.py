"""`qa adapt`: questions from texts, a run on them, and one on labels after it."""

import json
from pathlib import Path

import pytest

import qa
from qa.cli.main import main
from tests.adaptation.test_clozes import FILLERS, TEXT
from tests.support import tiny
from tests.support.finished import write_data
from tests.support.sweeps import calls, write_program

ROOT = Path(qa.__file__).parents[1]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    texts = tmp_path / "texts"
    texts.mkdir()
    for at, name in enumerate(("Aker", "Bergen", "Dale", "Elverum")):
        changed = TEXT.replace("Skarholm", name).replace("Lund", f"{name}sen")
        (texts / f"{at}.txt").write_text(changed + "\n".join(FILLERS))
    return tmp_path


def adapt(capsys, *arguments, status=0):
    capsys.readouterr()
    assert main(["adapt", *map(str, arguments)]) == status
    return capsys.readouterr()


def flag(words, name):
    return next(word.partition("=")[2] for word in words if word.startswith(f"--{name}="))


def test_the_second_run_goes_on_from_the_first_ones_model(capsys, here):
    write_program(here)
    found = json.loads(
        adapt(capsys, "texts", "--train-data", "own.json", "--validation-data", "dev.json", "--json").out
    )
    first, second = (calls(Path("runs/adapt"))[Path(found[name]["run"]).name][0] for name in ("adapted", "trained"))
    assert (first[0], second[0]) == ("adapt", "few-labels")
    assert flag(first, "model") == "minilm"
    assert flag(second, "model") == found["adapted"]["model"] == f"{found['adapted']['run']}/model"
    assert (flag(second, "train-data"), flag(second, "validation-data")) == ("own.json", "dev.json")
    assert found["trained"]["scores"]["f1"] == 50.0


def test_questions_are_written_with_some_held_out(capsys, here):
    write_program(here)
    adapt(capsys, "texts", "--out", "other", "--examples", "10", "--held-out", "1")
    ((words,),) = calls(Path("other")).values()
    train, held_out = (Path(flag(words, f"{name}-data")) for name in ("train", "validation"))
    rows = [[json.loads(line) for line in path.read_text().splitlines()] for path in (train, held_out)]
    assert [len(part) for part in rows] == [9, 1]
    assert not {row["id"] for row in rows[0]} & {row["id"] for row in rows[1]}


def test_the_same_command_goes_on_and_other_questions_make_another_run(capsys, here):
    write_program(here)
    for seed in (0, 0, 1):
        adapt(capsys, "texts", "--examples", "10", "--seed", seed)
    assert [len(times) for times in calls(Path("runs/adapt")).values()] == [1, 1]


def test_a_command_of_ones_own_has_its_flags(capsys, here):
    write_program(here)
    adapt(capsys, "texts", "--adapt-command", "${interpreter} ${program} adapt --seed=7 ${args}", "--split", "train")
    ((words,),) = calls(Path("runs/adapt")).values()
    assert words[:2] == ["adapt", "--seed=7"]


def test_what_cannot_be_done_is_one_line(capsys, here):
    write_program(here, "sys.exit(3)")
    assert "adapted-" in adapt(capsys, "texts", status=1).err
    assert "wanted both, or neither" in adapt(capsys, "texts", "--train-data", "own.json", status=2).err
    write_data(here / "short.jsonl", [tiny.example("Who?", "Nobody.", id="a")])
    assert "no span recurs" in adapt(capsys, "short.jsonl", status=1).err


@pytest.mark.slow
@pytest.mark.processes
def test_a_real_reader_is_adapted_and_trained(capsys, here):
    reader = tiny.save_reader(here / "reader")
    small = (
        "--features.max-length=96 --features.doc-stride=24 --features.max-question-length=24 --training.max-steps=2 "
        "--training.evaluate-every=0 --tracking.report-to=none --max-validation-examples=8 --max-train-examples=12"
    )
    commands = [f"${{interpreter}} {ROOT / 'train_qa.py'} {name} {small}" for name in ("adapt", "few-labels")]
    flags = ("--adapt-command", commands[0], "--command", commands[1])
    data = ("--train-data", "sample", "--validation-data", "sample")
    found = json.loads(adapt(capsys, "sample", "--model", reader, "--examples", "40", *flags, *data, "--json").out)
    assert (Path(found["trained"]["model"]) / "model.safetensors").is_file()
    assert 0 <= found["trained"]["scores"]["f1"] <= 100
