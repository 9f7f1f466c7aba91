"""Commands of `qa`, run in this process, and what they print."""

import io
import json

from qa.cli.main import main


def output(capsys, *arguments, status=0):
    """Run a command; what it printed."""
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == status
    return capsys.readouterr()


def printed_json(capsys, *arguments):
    """Run a command with --json; the one value that it printed."""
    return json.loads(output(capsys, *arguments, "--json").out)


def inspected(capsys, *arguments, status=0):
    """Run `qa inspect` with small windows; what it printed."""
    small = ("--max-length", "64", "--doc-stride", "16", "--max-question-length", "24")
    return output(capsys, "inspect", *arguments, *small, status=status)


def stdin(content):
    """What stands for standard input with these bytes."""
    return io.TextIOWrapper(io.BytesIO(content), encoding="utf-8")


def json_lines(text):
    return [json.loads(line) for line in text.splitlines()]


def read_lines(path):
    return json_lines(path.read_text())
