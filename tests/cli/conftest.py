"""One reader and its predictions for all commands."""

import pytest

from qa.cli.main import main
from tests.support import tiny
from tests.support.finished import ROWS
from tests.support.predictors import saved
from tests.support.rows import LONG, write


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("reader"))


@pytest.fixture(scope="session")
def predicted(folder, tmp_path_factory):
    """Predictions of 40 examples of the embedded set, and the references, as files."""
    where = tmp_path_factory.mktemp("predicted")
    references = write(where / "references.jsonl", tiny.sample_rows("validation")[:40])
    assert main(["predict", str(folder), str(references), str(where / "out.jsonl")]) == 0
    return where


@pytest.fixture(scope="session")
def long_contexts(tmp_path_factory):
    """A data set of which two examples have a context of several windows."""
    rows = [
        *ROWS[:20],
        tiny.example("Who built it?", LONG, ("Ragna Lund", LONG.rindex("Ragna Lund")), id="long"),
        tiny.example("When?", LONG, "1871", id="same context"),
    ]
    return write(tmp_path_factory.mktemp("inspect") / "data.jsonl", rows)
