"""Every name once; and what the rest of the package writes into a run folder is named there and nowhere else."""

import ast
import inspect
from pathlib import Path

from qa.run_folder.paths import CHECKPOINT_NAMES, RunPaths, step_name
from qa.runtime.energy import ENERGY_FILE
from tests.support.source import FILES, tree

PATHS = RunPaths(Path("run"))
PROPERTIES = inspect.getmembers(RunPaths, lambda one: isinstance(one, property))
NAMED = {name: getattr(PATHS, name) for name, _ in PROPERTIES}
OF_OTHERS = {"README.md", "data_problems.jsonl", ENERGY_FILE}
"""Models of any program have a card, `qa split` lists problems in a folder that is no run's, and what counts energy has
named its own file."""
OF_ONE_OWNER = {path.name for path in NAMED.values() if path.suffix} - OF_OTHERS


def test_every_name_is_there_once():
    assert len(set(NAMED.values())) == len(NAMED) >= 14
    for path in NAMED.values():
        assert path.is_relative_to("run")
        assert len(path.relative_to("run").parts) == (2 if path == PATHS.model_card else 1)


def test_folders_of_steps_sort_by_step_and_are_found_by_their_pattern():
    steps = [1, 9, 10, 123, 99_999_999]
    assert sorted(map(step_name, reversed(steps))) == list(map(step_name, steps))
    assert all(Path(step_name(step)).match(CHECKPOINT_NAMES) for step in steps)
    assert not Path(f".{step_name(3)}.part").match(CHECKPOINT_NAMES)  # what an interrupted save leaves
    assert PATHS.checkpoint(7) == PATHS.checkpoints / "step-00000007"
    assert PATHS.model_of(7) == PATHS.models / "step-00000007"


def test_no_other_module_writes_a_name_of_its_own():
    """Messages may hold names; a string that is one is a second owner."""
    for module, path in FILES.items():
        if module.startswith("qa.run_folder.paths"):
            continue
        texts = {node.value for node in ast.walk(tree(path)) if isinstance(node, ast.Constant)}
        assert not OF_ONE_OWNER & {text for text in texts if isinstance(text, str)}, module
