"""What other systems do otherwise, as far as it can be done here: processes that are spawned, names without case."""

import json
import multiprocessing

import pytest

from qa.run_folder.paths import RunPaths
from tests.support import tiny
from tests.support.attempts import assert_same_end, finish

FLAGS = ["--training.max-steps", "2", "--training.batch-size", "4", "--training.save-every", "1"]


@pytest.mark.processes
@pytest.mark.slow
def test_a_spawned_run_ends_as_a_forked_one(tmp_path):
    """Windows and macOS start processes anew: nothing may hang on what the parent had imported or set."""
    reader = tiny.save_reader(tmp_path / "reader", "bert")
    finish(tmp_path / "forked", reader, *FLAGS)
    spawn = multiprocessing.get_context("spawn")
    finish(tmp_path / "spawned", reader, *FLAGS, processes=2, start=spawn)
    assert json.loads((tmp_path / "spawned" / "environment.json").read_text())["processes"] == 2
    finish(tmp_path / "spawned-alone", reader, *FLAGS, start=spawn)
    assert_same_end(tmp_path / "forked", tmp_path / "spawned-alone")


def test_no_two_names_of_a_run_folder_differ_in_case_only(tmp_path):
    paths = RunPaths(tmp_path)
    names = [getattr(paths, name) for name in dir(RunPaths) if isinstance(getattr(RunPaths, name), property)]
    assert len(names) > 10
    assert len({str(path).casefold() for path in names}) == len(names)
