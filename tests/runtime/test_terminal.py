"""Help has room for a word, however narrow the terminal is."""

import os
import shutil

import pytest

from qa.cli.main import main
from qa.presets import parse_config
from qa.runtime.terminal import widen_narrow_terminal


@pytest.mark.parametrize(("columns", "wanted"), [("1", "40"), ("39", "40"), ("40", "40"), ("200", "200")])
def test_a_width_that_is_said_is_raised_to_40(columns, wanted, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    widen_narrow_terminal()
    assert os.environ["COLUMNS"] == wanted


@pytest.mark.parametrize(("columns", "wanted"), [(5, "40"), (80, None)])
def test_so_is_one_that_is_found(columns, wanted, monkeypatch):
    monkeypatch.setenv("COLUMNS", "")
    monkeypatch.setattr(shutil, "get_terminal_size", lambda: os.terminal_size((columns, 24)))
    widen_narrow_terminal()
    assert (os.environ["COLUMNS"] or None) == wanted


@pytest.mark.parametrize("show_help", [lambda: main(["score", "--help"]), lambda: parse_config(["--help"])])
def test_help_ends_in_one_column(show_help, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "1")
    with pytest.raises(SystemExit) as end:
        show_help()
    assert not end.value.code
    assert "usage" in capsys.readouterr().out
