"""No dead flags: for every flag of the commands that write data sets there are two values with two outcomes."""

import pytest

from tests.support.command_flags import JSON, SOURCE, flags, of_module, pairs, two_outcomes

BASE = {
    "convert": {"data": "DATA", "out": "WORK/out.jsonl", "json": True},
    "split": {"data": "TITLED", "out": "WORK/parts", "validation": "0.2", "json": True},
}
"""Flags of all runs of a command, unless a case says otherwise."""
CASES = {
    "convert": {
        **SOURCE,
        "on-bad-example": ("skip", "repair", {"data": "BAD"}),
        "references": ("texts", "spans", {"data": "PLACELESS"}),
        "out": ("WORK/out.jsonl", "WORK/out.json", {}),
        "overwrite": (True, False, {"out": "WORK/done.jsonl"}),
        **JSON,
    },
    "split": {
        **SOURCE,
        "data": ("TITLED", "EXAMPLES", {}),
        "max-examples": (None, "40", {}),
        "on-bad-example": ("skip", "repair", {"data": "BAD"}),
        "references": ("texts", "spans", {"data": "PLACELESS"}),
        "out": ("WORK/parts", "WORK/others", {}),
        "validation": ("0.2", "0.5", {}),
        "test": ("0", "0.3", {}),
        "folds": (None, "2", {}),
        "by": ("context", "title", {}),
        "seed": ("0", "1", {"validation": "0.4"}),
        "format": ("jsonl", "json", {}),
        **JSON,
    },
}
"""Of every flag two values, and what else the command needs with them."""


@pytest.mark.parametrize("command", sorted(of_module("qa.cli.data_flags")))
def test_every_flag_has_its_case(command):
    assert set(CASES[command]) == set(flags(command))


@pytest.mark.parametrize("command", CASES)
def test_the_same_values_have_the_same_outcome(command, outcome):
    assert outcome(command, BASE[command], again=True) == outcome(command, BASE[command], again=True)


@pytest.mark.parametrize(("command", "flag"), pairs(CASES))
def test_two_values_of_a_flag_have_two_outcomes(command, flag, outcome):
    first, second = two_outcomes(outcome, BASE[command], CASES[command][flag], command, flag)
    assert first != second
