"""The windows of an example, as `qa inspect` shows them."""

import json

from tests.support.commands import inspected
from tests.support.rows import LONG


def read(capsys, *arguments):
    return json.loads(inspected(capsys, *arguments, "--json").out)


def test_windows_of_an_example_have_places_labels_and_offsets(capsys, long_contexts):
    found = read(capsys, long_contexts, "--id", "long", "same context")
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


def test_windows_are_shown_with_the_label_marked(capsys, long_contexts):
    text = inspected(capsys, long_contexts, "--id", "long").out
    assert "window 1 of" in text
    assert "no label: the answer is not here" in text
    assert ">>>Ragna Lund<<<" in text
    assert "'Lund'" in text


def test_an_id_that_is_not_there_is_named(capsys, long_contexts):
    assert "no example has the id 'none'" in inspected(capsys, long_contexts, "--id", "none", status=1).err
