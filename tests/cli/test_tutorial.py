"""The notebook: copied as it is, and running from its first cell to its last."""

import json
from pathlib import Path

import pytest

import qa
from qa.cli.main import main

NOTEBOOK = Path(qa.__file__).parent / "tutorial.ipynb"


def test_it_is_copied_and_nothing_is_overwritten(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["tutorial"]) == 0
    assert (tmp_path / "tutorial.ipynb").read_bytes() == NOTEBOOK.read_bytes()
    assert main(["tutorial", "other.ipynb"]) == 0
    assert (tmp_path / "other.ipynb").is_file()
    assert main(["tutorial"]) == 1
    assert "tutorial.ipynb is there already" in capsys.readouterr().err


def test_it_holds_no_outputs():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")] == []


@pytest.mark.slow
@pytest.mark.processes
def test_it_runs(tmp_path, monkeypatch):
    nbformat, nbclient = (pytest.importorskip(name, reason="runs a notebook") for name in ("nbformat", "nbclient"))
    monkeypatch.setenv("QA_TUTORIAL_QUICK", "1")
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOK.parents[1]))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(tmp_path)}}).execute()
    printed = "".join(out.get("text", "") for cell in notebook.cells for out in cell.get("outputs", ()))
    assert "64 examples to train on, 16 to validate on" in printed
    assert "step 6: loss" in printed
