"""No dead flags: for every flag of the commands that begin there are two values with two outcomes."""

import pytest

from tests.support.command_flags import flags, of_module, pairs, two_outcomes

CASES = {
    "tutorial": {"out": (None, "WORK/other.ipynb", {})},
    "configs": {"out": (None, "WORK/elsewhere", {})},
}
"""Of every flag two values, and what else the command needs with them."""
ELSEWHERE = {"demo": {"out"}, "train": {"arguments"}, "configs": {"overwrite"}}
"""Flags whose two values are in the test of their command: they need a run, or a folder that is filled."""


def test_every_flag_has_its_case():
    for command in of_module("qa.cli.start_flags"):
        assert set(CASES.get(command, {})) | ELSEWHERE.get(command, set()) == set(flags(command))


@pytest.mark.parametrize(("command", "flag"), pairs(CASES))
def test_two_values_of_a_flag_have_two_outcomes(command, flag, outcome):
    first, second = two_outcomes(outcome, {}, CASES[command][flag], command, flag)
    assert first != second
