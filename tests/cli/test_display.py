"""What commands print: marked texts, tables, JSON; for people, programs and old consoles."""

import io
import json
import sys

from qa.cli.main import main
from tests.support.commands import output
from tests.support.predictors import CONTEXT, QUESTION


def test_a_long_context_is_shown_around_the_answer(capsys, folder):
    long = "many words " * 400
    out = output(capsys, "ask", folder, "--question", QUESTION, "--context", long, "--no-answer", "False").out
    marked = out.splitlines()[0]
    assert ">>>" in marked
    assert "…" in marked
    assert len(marked) < 1200


def test_ask_marks_by_colour_on_a_terminal(capsys, folder, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes this for a terminal
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = output(capsys, "ask", folder, "--question", QUESTION, "--context", CONTEXT, "--no-answer", "False").out
    assert "\x1b[1;7m" in out
    assert ">>>" not in out


def test_output_that_a_code_page_lacks_is_escaped(monkeypatch, folder):
    """As in a Windows console: JSON stays JSON, and nothing is a traceback."""
    for flags in (["--json"], []):
        stream = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
        monkeypatch.setattr(sys, "stdout", stream)
        text = "灯塔由拉格纳建造 🙂 łódź"
        assert main(["ask", str(folder), "--question", "谁?", "--context", text, "--top-k", "1", *flags]) == 0
        stream.flush()
        shown = stream.buffer.getvalue().decode("cp1252")
        assert shown
        assert not flags or json.loads(shown)
