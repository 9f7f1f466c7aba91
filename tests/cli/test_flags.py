"""Groups of flags that commands share, where the flags of a command are, and that a dead one is found."""

from pathlib import Path

import pytest

from qa.cli.main import parse
from tests.support.command_flags import COMMANDS, require_two_outcomes

HERE = Path(__file__).parent


def test_every_command_has_its_flags_in_a_module_that_is_tested():
    for kind in COMMANDS.values():
        name = kind.__module__.rpartition(".")[2]
        assert "FlagTests):\n    module" in (HERE / f"test_{name}.py").read_text(), name


@pytest.mark.parametrize(
    ("line", "split"),
    [
        ("predict READER DATA OUT", "validation"),
        ("calibrate READER DATA", "validation"),
        ("inspect DATA", "validation"),
        ("convert DATA OUT", "train"),
        ("split DATA OUT", "train"),
        ("unanswerable DATA OUT", "train"),
    ],
)
def test_what_writes_data_sets_reads_those_for_training(line, split):
    assert parse(line.split()).data.split == split


# --- the check itself ---


def seen(_, given):
    """What is seen of a command that takes no notice of `--dead`, and ends with an error where `--bad` says so."""
    told = {name: value for name, value in given.items() if name != "dead"}
    return {"status": int("bad" in given), "err": "Parsing error" if "unknown" in given.values() else "", "told": told}


def test_a_flag_with_two_outcomes_passes():
    require_two_outcomes(seen, "ask", "alive", {"dead": "0"}, ("1", "2", {}))


@pytest.mark.parametrize(
    ("flag", "case"), [("dead", ("1", "2", {})), ("alive", ("1", "2", {"bad": True})), ("alive", ("1", "unknown", {}))]
)
def test_a_dead_flag_and_values_that_are_refused_do_not(flag, case):
    with pytest.raises(AssertionError):
        require_two_outcomes(seen, "ask", flag, {}, case)
