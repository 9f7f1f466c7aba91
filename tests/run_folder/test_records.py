"""What a run folder says of its run, and who may begin one in it."""

import json
from dataclasses import replace

import pytest
import torch

from qa.data.examples import Examples
from qa.data.problems import DataProblem
from qa.errors import CheckpointError, StorageError
from qa.presets import load_config
from qa.run_folder.paths import RunPaths
from qa.run_folder.records import (
    make_folder,
    require_delivered,
    require_fresh,
    write_problems,
    write_records,
)
from tests.support.checkpoints import ROWS, RUN, new_loop


def test_run_folder_of_another_run_is_not_overwritten(tmp_path):
    folder = tmp_path / "deep" / "run"
    make_folder(folder)
    require_fresh(folder)
    for name in (".DS_Store", "lost+found", ".nfs0001"):
        (folder / name).touch()
    require_fresh(folder)
    for name in ("config.json", "a", "b", "z"):
        (folder / name).touch()
    with pytest.raises(CheckpointError, match=r"run is not empty: it holds a, b, config\.json and 1 more; wanted"):
        require_fresh(folder)


def test_run_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot make the run folder"):
        make_folder(tmp_path / "file" / "run")


def test_records_say_what_the_run_is(tmp_path, caplog):
    config = replace(RUN, output_dir=tmp_path)
    problem = DataProblem(row=3, id="q3", kind="answer", found="x", wanted="y", action="skipped")
    loop = new_loop(max_steps=1)
    write_records(
        RunPaths(tmp_path), loop.accelerator, config, {"train": Examples(rows=ROWS, problems=(problem, problem))}
    )
    assert load_config(tmp_path / "config.json") == config
    environment = json.loads((tmp_path / "environment.json").read_text())
    assert environment["versions"]["torch"] == torch.__version__
    assert len((tmp_path / "data_problems.jsonl").read_text().splitlines()) == 2
    assert "train data: 2 examples skipped" in caplog.text


def test_an_end_without_model_or_predictions_is_an_error(tmp_path):
    with pytest.raises(StorageError, match=r"without model, predictions\.json, nbest_predictions\.json, null_odds"):
        require_delivered(RunPaths(tmp_path), evaluated=True)
    (tmp_path / "model").mkdir()
    require_delivered(RunPaths(tmp_path), evaluated=False)


def test_problems_are_written_one_a_line(tmp_path):
    problem = DataProblem(row=3, id="é\ud800", kind="k", found="f\n", wanted="w", action="repaired")
    write_problems({"train": [problem], "validation": [problem]}, tmp_path / "p.jsonl")
    lines = (tmp_path / "p.jsonl").read_text(encoding="utf-8").splitlines()
    wanted = {"row": 3, "id": "é\ud800", "kind": "k", "found": "f\n", "wanted": "w", "action": "repaired", "done": ""}
    assert [json.loads(line) for line in lines] == [{"split": split} | wanted for split in ("train", "validation")]
    write_problems({}, tmp_path / "p.jsonl")
    assert (tmp_path / "p.jsonl").read_bytes() == b""
    assert [path.name for path in tmp_path.iterdir()] == ["p.jsonl"]
