"""Commands of `qa` with flags by name, and all that can be seen of one: for flags that must not be dead.

A command is run in this process, in a folder of its own. What stands for a flag's value in capitals is a file or folder
of `command_words`, and `WORK` is the folder of the run.
"""

import dataclasses
import hashlib
import logging
import re
import typing
from pathlib import Path
from typing import ClassVar

from qa.cli.main import Command, main

COMMANDS = {form.__metadata__[0].name: form.__origin__ for form in typing.get_args(Command)}
"""The dataclass of every command, by name."""
CLOCKED = re.compile(r'\d+\.\d+ s\b|"(seconds|used)": [\d.e+-]+')
"""What the clock decides of what is printed and written."""
DRAWN = {".png", ".svg", ".pdf", ".ipynb"}
"""Ends of the names of files that are not looked into: they hold dates and random ids, or are long."""


def fields_of(kind):
    """Every flag and argument of a command, as they stand on the command line."""
    hints = typing.get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        if dataclasses.is_dataclass(hints[field.name]):
            yield from fields_of(hints[field.name])
        else:
            yield field.name.replace("_", "-"), "Positional" in repr(hints[field.name])


def words_of(command, given):
    """The words of a command line; None: left out, True and False: a switch, a tuple: several words."""
    positional = {name for name, is_positional in fields_of(COMMANDS[command]) if is_positional}
    values = {name: _listed(value) for name, value in given.items() if value is not None}
    # those of a command's own go before those of its groups, which is how the parser wants them
    own = [field.name.replace("_", "-") for field in dataclasses.fields(COMMANDS[command])]
    first = sorted((name for name in values if name in positional), key=lambda name: name not in own)
    words = [word for name in first for word in values[name]]
    for name, value in given.items():
        if name not in positional and value is not None:
            words += [f"--{'' if value else 'no-'}{name}"] if isinstance(value, bool) else [f"--{name}", *values[name]]
    return [command, *words]


def _listed(value):
    return list(value) if isinstance(value, tuple) else [value]


def observe(arguments, folder, *, calls, capsys, caplog, hidden):
    """Run a command; all that can be seen of it afterwards. `hidden` is a place whose name does not matter."""
    calls.clear()
    caplog.clear()
    capsys.readouterr()
    with caplog.at_level(logging.WARNING, logger="qa"):
        try:
            status = main(arguments)
        except SystemExit as ended:
            status = ended.code
    printed = capsys.readouterr()

    def plain(text):
        return CLOCKED.sub("…", text.replace(str(folder), "WORK").replace(str(hidden), "FILES"))

    return {
        "status": status,
        "out": plain(printed.out),
        "err": plain(printed.err),
        "calls": list(calls),
        "warnings": [plain(record.getMessage()) for record in caplog.records],
        "files": {str(path.relative_to(folder)): _content(path, plain) for path in sorted(folder.rglob("*"))},
    }


def _content(path: Path, plain):
    if path.is_dir() or path.suffix in DRAWN:
        return None
    content = path.read_bytes()
    if path.suffix != ".safetensors":
        content = plain(content.decode("utf-8", "replace")).encode()
    return hashlib.sha256(content).hexdigest()


# --- cases ---


class FlagTests:
    """That no flag of a module's commands is dead. A module of tests says what its commands are tried with."""

    module: ClassVar
    """The module with the flags."""
    base: ClassVar = {}
    """By command, flags of all of its runs."""
    cases: ClassVar
    """By command and flag: two values, and what else the command needs with them, in place of what `base` says."""
    elsewhere: ClassVar = {}
    """By command, flags whose two values are tried in the test of the command."""

    def pytest_generate_tests(self, metafunc):
        if "flag" in metafunc.fixturenames:
            metafunc.parametrize(
                ("command", "flag"), [(command, flag) for command, flags in self.cases.items() for flag in flags]
            )
        elif "command" in metafunc.fixturenames:
            metafunc.parametrize("command", self.base)

    def test_every_flag_has_its_case(self):
        for command, kind in COMMANDS.items():
            if kind.__module__ == self.module:
                tried = set(self.cases.get(command, {})) | self.elsewhere.get(command, set())
                assert tried == {flag for flag, _ in fields_of(kind)}, command

    def test_the_same_values_have_the_same_outcome(self, command, outcome):
        given = self.base[command]
        assert outcome(command, given, again=True) == outcome(command, given, again=True)

    def test_two_values_of_a_flag_have_two_outcomes(self, command, flag, outcome):
        require_two_outcomes(outcome, command, flag, self.base.get(command, {}), self.cases[command][flag])


def require_two_outcomes(outcome, command, flag, base, case):
    """Of the two values the command takes the first, and the second at least as a word of its command line."""
    one, other, needed = case
    first, second = (outcome(command, base | needed | {flag: value}) for value in (one, other))
    assert first["status"] == 0, first
    assert "Parsing error" not in second["err"], second
    assert first != second


MODEL = {
    "model": ("READER", "OTHER_READER", {}),
    "revision": ("one", "two", {"model": "someone/reader"}),
    "device": ("cpu", "gpu7", {}),
    "dtype": ("float32", "bfloat16", {}),
    "backend": ("torch", "onnx", {}),  # without a file: what one answers is tested with `qa export`
}
HUB = {"data": "someone/data"}
SOURCE = {
    "data": ("DATA", "OTHER", {}),
    "split": ("train", "other", {"data": "SPLITS"}),
    "data-name": ("one", "two", HUB),
    "data-revision": ("one", "two", HUB),
    "max-examples": (None, "2", {}),
}
JSON = {"json": (True, False, {})}
