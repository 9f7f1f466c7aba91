"""A command's processes; what several do together is tested with them really started, in tests/whole_runs."""

import pytest

from qa.errors import ConfigError
from qa.runtime.launched import Processes, end_of_processes, run_in_processes


def fails():
    raise ConfigError("no such thing")


def test_a_single_process_is_all_of_them():
    seen = []
    assert run_in_processes(seen.append) == 0
    (alone,) = seen
    assert alone == Processes(index=0, count=1, device=None)
    assert alone.is_main
    assert alone.gathered({"a": 1}) == [{"a": 1}]
    assert alone.from_main(lambda: 3) == 3


def test_errors_of_the_main_process_are_raised():
    with pytest.raises(ConfigError, match="no such thing"):
        Processes().from_main(fails)
    with pytest.raises(ConfigError, match="no such thing"):
        run_in_processes(lambda _: fails())


def test_a_single_process_ends_by_itself():
    end_of_processes(3)
