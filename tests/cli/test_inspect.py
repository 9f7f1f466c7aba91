"""`qa inspect`: examples named, drawn and looked into window by window."""

import json

import pytest

from qa.cli.main import main
from tests.support import tiny
from tests.support.finished import ROWS, write_data

LONG = "The lighthouse of Skarholm was built in 1871 by Ragna Lund. " * 40


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    rows = [
        *ROWS[:20],
        tiny.example("Who built it?", LONG, ("Ragna Lund", LONG.rindex("Ragna Lund")), id="long"),
        tiny.example("When?", LONG, "1871", id="same context"),
    ]
    return write_data(tmp_path_factory.mktemp("inspect") / "data.jsonl", rows)


def inspect(capsys, *arguments, status=0):
    capsys.readouterr()
    small = ("--max-length", "64", "--doc-stride", "16", "--max-question-length", "24")
    assert main(["inspect", *map(str, arguments), *small]) == status
    return capsys.readouterr()


def read(capsys, *arguments):
    return json.loads(inspect(capsys, *arguments, "--json").out)


def test_windows_of_an_example_have_places_labels_and_offsets(capsys, data):
    found = read(capsys, data, "--id", "long", "same context")
    assert [view["id"] for view in found["windows_shown"]] == ["long", "same context"]
    assert found["examples_shown"] == []
    windows = found["windows_shown"][0]["windows"]
    assert len(windows) > 1
    start = LONG.rindex("Ragna Lund")
    assert windows[-1]["labels"] == [[start, start + 10]]
    assert windows[0]["labels"] == []
    for window in windows:
        for token in window["tokens"]:
            begin, end = token["place"]
            assert LONG[begin:end].lower() == token["token"].removeprefix("##")


def test_windows_are_shown_with_the_label_marked(capsys, data):
    text = inspect(capsys, data, "--id", "long").out
    assert "window 1 of" in text
    assert "no label: the answer is not here" in text
    assert ">>>Ragna Lund<<<" in text
    assert "'Lund'" in text


def test_the_longest_examples_are_named_one_for_a_context(capsys, data):
    found = read(capsys, data, "--longest", "3")["longest"]
    assert found[0]["id"] == "long"
    assert found[0]["windows"] > 1
    assert len(found) == 3
    assert "same context" not in {one["id"] for one in found}
    assert [one["tokens"] for one in found] == sorted((one["tokens"] for one in found), reverse=True)
    assert "longest" in inspect(capsys, data, "--longest", "1").out
    assert read(capsys, data)["longest"] == []


def test_drawn_examples_differ_unless_seeded(capsys, data):
    def drawn(*flags):
        return [row["id"] for row in read(capsys, data, "--examples", "8", *flags)["examples_shown"]]

    assert drawn("--seed", "3") == drawn("--seed", "3")
    assert len({tuple(drawn()) for _ in range(4)}) > 1


def test_an_id_that_is_not_there_is_named(capsys, data):
    assert "no example has the id 'none'" in inspect(capsys, data, "--id", "none", status=1).err
