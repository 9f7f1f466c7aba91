"""No dead flags: for every flag of the commands that begin there are two values with two outcomes."""

from tests.support.command_flags import FlagTests

CASES = {
    "tutorial": {"out": (None, "WORK/other.ipynb", {})},
    "configs": {"out": (None, "WORK/elsewhere", {})},
}
"""Of every flag two values, and what else the command needs with them."""
ELSEWHERE = {"demo": {"out"}, "train": {"arguments"}, "configs": {"overwrite"}}
"""Flags whose two values are in the test of their command: they need a run, or a folder that is filled."""


class TestStartFlags(FlagTests):
    module, cases, elsewhere = "qa.cli.start_flags", CASES, ELSEWHERE
