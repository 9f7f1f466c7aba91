"""`qa compare` as text, JSON, picture and W&B tables."""

import json

import pytest

from qa.cli.main import main
from qa.config import DataConfig, RecipeConfig
from tests.support.finished import ROWS, answers, write_data, write_run
from tests.support.wandb_files import offline_runs


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    where = tmp_path_factory.mktemp("runs")
    data = write_data(where / "data.jsonl")
    curve = [(5, 60.0, 10.0), (10, 120.0, 20.0)]
    ema = {"recipe": RecipeConfig(averaging="ema")}
    return [
        str(write_run(where / "plain-1", data, answers(lambda at: at % 3 == 0), history=curve, seed=1)),
        str(write_run(where / "plain-2", data, answers(lambda at: at % 3 == 1), history=curve, seed=2)),
        str(write_run(where / "ema-1", data, answers(lambda at: at % 3 == 0 or at < 30), history=curve, seed=1, **ema)),
    ]


def output(capsys, *arguments, status=0):
    capsys.readouterr()
    assert main(["compare", *map(str, arguments)]) == status
    return capsys.readouterr()


def test_text_shows_scores_differences_tests_slices_and_curves(capsys, folders):
    out = output(capsys, *folders).out
    assert out.startswith("60 examples; intervals: 95 %\n")
    assert "averaging=ema minus averaging=none, in points" in out
    assert "right only with averaging=none: 0, only with averaging=ema: 20 (McNemar, p 1.9e-06)" in out
    assert "question word: " in out
    assert "5 (1.0 min): 10.0, 10 (2.0 min): 20.0" in out
    assert "over seeds (Welch)" in out


def test_json_holds_what_the_text_rounds(capsys, folders):
    found = json.loads(output(capsys, *folders, "--json").out)
    assert found["examples"] == len(ROWS)
    assert [one["seeds"] for one in found["systems"]] == [[1, 2], [1]]
    (difference,) = found["differences"]
    assert difference["f1"]["low"] < difference["f1"]["mean"] < difference["f1"]["high"]
    assert difference["f1_over_seeds"]["low"] is None  # one seed tells of no spread
    assert {one["name"] for one in difference["slices"]} > {"answerable: yes"}


def test_each_takes_every_run_for_itself(capsys, folders):
    found = json.loads(output(capsys, *folders, "--each", "--json").out)
    assert [one["name"] for one in found["systems"]] == ["plain-1", "plain-2", "ema-1"]
    assert [one["second"] for one in found["differences"]] == ["plain-2", "ema-1"]


def test_references_can_be_elsewhere(capsys, folders, tmp_path):
    rows = [{**row, "answers": {"text": [], "answer_start": []}} for row in ROWS]
    (tmp_path / "own").mkdir()
    write_data(tmp_path / "own" / "test.jsonl", rows)
    found = json.loads(output(capsys, *folders, "--data", tmp_path / "own", "--split", "test", "--json").out)
    assert found["systems"][0]["exact"]["mean"] < 20  # "no answer" is right now, and few say so
    error = output(capsys, *folders, "--data", tmp_path / "own", "--split", "none", status=1).err
    assert "no file for split 'none'" in error


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_picture_is_drawn(capsys, folders, tmp_path, suffix):
    path = tmp_path / f"plot.{suffix}"
    assert str(path) in output(capsys, *folders, "--plot", path).out
    begins = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[suffix]
    assert path.read_bytes().startswith(begins)


def test_picture_of_several_differences_and_of_runs_without_history(capsys, tmp_path):
    data, names = write_data(tmp_path / "data.jsonl"), ("a", "b", "$c_")
    runs = [write_run(tmp_path / name, data, answers(lambda at, n=n: at % 3 == n)) for n, name in enumerate(names)]
    assert output(capsys, *runs, "--plot", tmp_path / "plot.png").out.endswith("plot.png\n")


def test_picture_that_cannot_be_drawn_is_one_line(capsys, folders, tmp_path):
    assert "cannot draw" in output(capsys, *folders, "--plot", tmp_path / "plot.docx", status=1).err
    assert "cannot draw" in output(capsys, *folders, "--plot", tmp_path / "none" / "plot.png", status=1).err


def test_tables_at_wandb_are_what_the_client_wrote(capsys, folders, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = output(capsys, *folders, "--wandb", "recipes").out
    (run,) = offline_runs(tmp_path)
    assert out.endswith(f"wandb sync {run.folder}\n")
    assert (run.record.project, run.record.job_type) == ("recipes", "compare")
    assert run.record.display_name == "averaging=none / averaging=ema"
    assert run.config["examples"] == 60
    assert run.config["runs"]["averaging=none"] == folders[:2]
    tables = run.tables()
    assert set(tables) == {"recipes", "differences", "slices", "curves"}
    assert tables["recipes"]["columns"][:3] == ["recipe", "seeds", "exact"]
    assert [row[:2] for row in tables["recipes"]["data"]] == [["averaging=none", 2], ["averaging=ema", 1]]
    assert len(tables["curves"]["data"]) == 6


def test_runs_that_cannot_be_compared_are_one_line(capsys, folders, tmp_path):
    assert output(capsys, folders[0], status=1).err == "error: found 1 run; wanted two or more to compare\n"
    assert "no run folder" in output(capsys, folders[0], tmp_path, status=1).err
    found = {row["id"]: "" for row in ROWS}
    several = write_run(tmp_path / "all", write_data(tmp_path / "rows.jsonl"), found, data=DataConfig(answers="all"))
    assert "was to find all answers (data.answers all)" in output(capsys, folders[0], several, status=1).err
