"""`qa predict --engine`: a folder of answered rows; Ray and Spark are tested where their packages are."""

import importlib.util
import json
from pathlib import Path

import pytest

from qa.cli.answer_flags import EngineFlags, Predict
from qa.cli.engines import require_fitting
from qa.cli.flags import DataFlags, ModelFlags, OutputFlags
from qa.errors import MissingPackageError, UsageError
from qa.runtime.launched import Processes
from tests.support import tiny
from tests.support.commands import output, read_lines
from tests.support.rows import write

ROWS = [{**row, "note": {"n": at}} for at, row in enumerate(tiny.sample_rows("validation")[:40])]


@pytest.fixture
def data(tmp_path):
    return write(tmp_path / "rows.jsonl.gz", [*ROWS, {"question": "Who?", "context": " ", "id": "blank"}])


def test_rows_have_the_answers_that_are_written_without_an_engine(capsys, folder, predicted, data, tmp_path):
    done = output(capsys, "predict", folder, data, tmp_path / "out", "--engine", "local", "--json")
    summary = json.loads(done.out)
    counts = {name: summary[name] for name in ("rows", "errors", "shards", "skipped")}
    assert counts == {"rows": 41, "errors": 1, "shards": 1, "skipped": 0}
    *found, blank = read_lines(tmp_path / "out" / "part-00000.jsonl")
    wanted = read_lines(predicted / "out.jsonl")
    names = wanted[0].keys()
    assert [{name: line[name] for name in names} for line in found] == [
        {name: pytest.approx(value, abs=1e-6) for name, value in line.items()} for line in wanted
    ]
    assert [line["note"] for line in found] == [row["note"] for row in ROWS]
    assert blank["answer"] is None
    assert blank["error"] == "context is ' '; wanted text"


def test_a_folder_is_gone_on_with_or_replaced_only_when_asked(capsys, folder, data, tmp_path):
    command = ("predict", folder, data, tmp_path / "out", "--engine", "local")
    assert "41 rows in" in output(capsys, *command, "--keep", "id").out
    assert "--resume or --overwrite" in output(capsys, *command, "--keep", "id", status=2).err
    assert "columns: ['id'] there" in output(capsys, *command, "--resume", status=2).err
    assert "1 of 1 shards were there" in output(capsys, *command, "--keep", "id", "--resume").out
    assert "41 rows in" in output(capsys, *command, "--overwrite").out


def test_a_model_that_does_not_load_ends_the_command(capsys, data, tmp_path):
    err = output(capsys, "predict", tmp_path / "none", data, tmp_path / "out", "--engine", "local", status=1).err
    assert "part-00000.jsonl: ModelError" in err


def arguments(engine, *, workers=None, on_bad_example="error", **data):
    return Predict(
        model=ModelFlags(model="m"),
        data=DataFlags(data="d", **data),
        output=OutputFlags(out=Path("o")),
        on_bad_example=on_bad_example,
        engine=EngineFlags(engine=engine, workers=workers),
    )


@pytest.mark.parametrize(
    ("given", "processes", "message"),
    [
        (arguments("local", workers=2), 1, "accelerate launch --num_processes N"),
        (arguments("local", max_examples=3), 1, "found --max-examples and --engine"),
        (arguments("local", on_bad_example="skip", split="test"), 1, "found --split, --on-bad-example"),
        (arguments("ray"), 2, "found 2 processes and --engine ray"),
    ],
)
def test_flags_that_an_engine_does_not_have_are_refused(given, processes, message):
    with pytest.raises(UsageError, match=message):
        require_fitting(given, Processes(count=processes))


@pytest.mark.parametrize(("engine", "package"), [("ray", "ray"), ("spark", "pyspark")])
def test_an_engine_that_is_not_installed_is_named(engine, package, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else found(name))
    with pytest.raises(MissingPackageError, match=rf"not installed: {package}; .*extractive-qa\[{engine}\]"):
        require_fitting(arguments(engine), Processes())
