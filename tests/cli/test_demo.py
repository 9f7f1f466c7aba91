"""`qa demo`: what is shown of the run, and which folders it takes."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from qa.cli import demo
from qa.cli.main import main
from qa.errors import LaunchError
from qa.presets import PRESETS
from qa.run_folder.paths import RunPaths
from qa.run_folder.records import save_config
from tests.support import tiny

ROWS = tiny.sample_rows("validation")
SCORES = {"exact": 40.0, "f1": 45.0, "HasAns_f1": 50.0, "NoAns_f1": 30.0, "best_f1": 46.0}


def leave_a_run(folder, wrong=()):
    """Write what the run leaves where every answer but some is right."""
    paths = RunPaths(folder)
    folder.mkdir(parents=True)
    save_config(dataclasses.replace(PRESETS["demo"], output_dir=folder), paths.config)
    evaluations = [
        {"step": step, **{f"eval/{name}": value + step for name, value in SCORES.items()}} for step in (1, 2)
    ]
    paths.history.write_text("".join(f"{json.dumps(row)}\n" for row in ({"step": 1, "train/loss": 3.0}, *evaluations)))
    answers = {row["id"]: (row["answers"]["text"] or [""])[0] for row in ROWS}
    answers |= dict.fromkeys(wrong, "nonsense")
    paths.predictions.write_text(json.dumps(answers))
    paths.n_best.write_text(json.dumps({key: [{"text": text, "probability": 0.5}] for key, text in answers.items()}))


@pytest.fixture
def without_training(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "launch", leave_a_run)


@pytest.mark.usefixtures("without_training")
@pytest.mark.parametrize("folder", ["runs/demo", "elsewhere"])
def test_it_shows_scores_answers_and_what_to_do_next(folder, capsys):
    assert main(["demo", *([] if folder == "runs/demo" else ["--out", folder])]) == 0
    out = capsys.readouterr().out
    assert "step 1" in out
    assert "47.0" in out
    assert "(no answer)" in out
    ask, errors, serve, train = (line.strip() for line in out.splitlines()[-4:])
    assert f"qa ask {folder}/model --question 'Who named the river?'" in ask
    assert errors.endswith(f"qa errors {folder}")
    assert serve.endswith(f"qa serve {folder}/model")
    assert "minilm-squad" in train


def test_right_readable_answers_of_different_passages_are_chosen(tmp_path):
    wrong = {row["id"] for row in ROWS if row["context"] == ROWS[0]["context"]}
    leave_a_run(tmp_path / "run", wrong)
    shown = demo.chosen_answers(RunPaths(tmp_path / "run"))
    *answered, unanswered = shown
    references = {row["question"]: row["answers"]["text"] for row in ROWS}
    assert len({one.context for one in answered}) == 3
    assert ROWS[0]["context"] not in {one.context for one in shown}
    assert all(one.answer in references[one.question] for one in answered)
    assert unanswered.answer == "(no answer)"
    assert references[unanswered.question] == []


def test_a_model_that_is_never_right_shows_nothing(tmp_path):
    leave_a_run(tmp_path / "run", {row["id"] for row in ROWS})
    assert demo.chosen_answers(RunPaths(tmp_path / "run")) == []


@pytest.mark.usefixtures("without_training")
def test_an_earlier_demo_is_replaced_and_nothing_else(capsys):
    leave_a_run(Path("runs/demo"))
    Path("runs/demo/old").touch()
    assert main(["demo"]) == 0
    assert not Path("runs/demo/old").exists()
    leave_a_run(Path("mine"))
    save_config(PRESETS["minilm-squad"], Path("mine/config.json"))
    assert main(["demo", "--out", "mine"]) == 1
    assert "mine holds something else" in capsys.readouterr().err
    assert Path("mine/history.jsonl").exists()


def test_a_run_that_fails_is_said_so(tmp_path, monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 3))
    with pytest.raises(LaunchError, match="status 3"):
        demo.launch(tmp_path)


def test_commands_are_those_that_can_be_typed(tmp_path, monkeypatch):
    """With the folder of the scripts where they are not on the path, and the page where it is here."""
    scripts = Path(sys.executable).parent
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{scripts}{os.pathsep}/usr/bin")
    assert [line.split()[0] for line in demo.next_commands(Path("a b"))] == ["qa", "qa", "qa", "accelerate"]
    assert "'a b/model'" in demo.next_commands(Path("a b"))[0]
    assert " -m train_qa " in demo.next_commands(Path("x"))[-1]
    (tmp_path / "train_qa.py").touch()
    monkeypatch.setenv("PATH", "/usr/bin")
    assert demo.next_commands(Path("x"))[0].startswith(f"{scripts}/qa ask ")
    assert " train_qa.py " in demo.next_commands(Path("x"))[-1]
