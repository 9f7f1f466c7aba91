"""The examples below every --help are commands that there are."""

import shlex
from typing import get_args

import pytest

from qa.cli.main import Command, main, parse
from qa.cli.start_flags import Train
from qa.cli.usage import EXAMPLES
from qa.presets import parse_config

NAMES = {type_.__name__: tyro_name.name for type_, tyro_name in map(get_args, get_args(Command))}


def test_every_command_has_two():
    assert set(EXAMPLES) == set(NAMES.values())
    assert all(len(set(lines)) == 2 for lines in EXAMPLES.values())


@pytest.mark.parametrize("line", [line for lines in EXAMPLES.values() for line in lines])
def test_an_example_is_a_command_that_can_be_given(line):
    qa, *words = shlex.split(line)
    assert qa == "qa"
    command = parse(words)
    assert NAMES[type(command).__name__] == words[0]
    if isinstance(command, Train):
        parse_config(command.arguments)


@pytest.mark.parametrize("command", ["serve", "train", "ask"])
def test_they_stand_below_the_help(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [f"  {line}" for line in EXAMPLES[command]]


def test_a_wrong_command_line_shows_none(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["serve", "--nonsense"])
    assert ended.value.code == 2
    assert "examples:" not in capsys.readouterr().out
