"""One reader and its predictions for all commands."""

import pytest

from qa.cli.main import main
from tests.support import tiny
from tests.support.command_flags import observe, words_of
from tests.support.command_stand_ins import stand_in
from tests.support.command_words import Words, prepare
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


@pytest.fixture(scope="session")
def words(tmp_path_factory):
    """Files and folders by the words that stand for them in the cases of flags."""
    return Words(tmp_path_factory.mktemp("words"))


@pytest.fixture(scope="session")
def seen():
    """Outcomes of commands by their names and flags; several flags begin with the same command."""
    return {}


@pytest.fixture
def outcome(words, seen, tmp_path, monkeypatch, capsys, caplog):
    """A function that runs a command with flags in a folder of its own, and returns all that can be seen of it.

    With `again`, also if that is known.
    """
    calls, numbers = [], iter(range(10, 99))
    stand_in(monkeypatch, calls, words)
    monkeypatch.delenv("QA_MODEL", raising=False)

    def outcome_of(command, given, *, again=False):
        key = command, repr(sorted(given.items(), key=str))
        if again or key not in seen:
            work = tmp_path / str(next(numbers))
            work.mkdir()
            prepare(command, work)
            monkeypatch.chdir(work)
            arguments = words_of(command, {name: words.expanded(value, work) for name, value in given.items()})
            seen[key] = observe(arguments, work, calls=calls, capsys=capsys, caplog=caplog, hidden=words.folder)
        return seen[key]

    return outcome_of
