"""The rules that the code keeps: which module may know which, how long things are, and no setting without a use."""

import ast
import dataclasses
from functools import cache
from pathlib import Path

import pytest

from qa.config import RunConfig

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "qa"
ORDER = (
    "errors",
    "files",
    "config",
    "sources",
    "data",
    "features",
    "batching",
    "model",
    "optimization",
    "decoding",
    "answers",
    "metrics",
    "runtime",
    "evaluation",
    "training",
    "checkpoints",
    "tracking",
    "predictor",
)
"""The way that data flows; the other modules are parts of these, or commands."""
PURE = ("sources", "data", "features", "batching", "optimization", "decoding", "answers", "metrics", "predictor")
MODULES = sorted(path.stem for path in PACKAGE.glob("*.py") if not path.stem.startswith("__"))


@cache
def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path):
    """Dotted names that a file imports, at any place."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def known(module):
    """Modules of the package that `module` imports."""
    parts = (name.split(".") for name in imports(PACKAGE / f"{module}.py"))
    return {part[1] for part in parts if part[0] == "qa" and len(part) > 1 and part[1] in MODULES}


def reachable(module):
    found, waiting = set(), [module]
    while waiting:
        for other in known(waiting.pop()) - found:
            found.add(other)
            waiting.append(other)
    return found


# --- modules ---


@pytest.mark.parametrize("module", ORDER)
def test_imports_point_up_the_flow_of_data(module):
    """Also through the modules that are not in the list."""
    below = reachable(module) & set(ORDER[ORDER.index(module) :])
    assert not below, f"{module}.py knows {below}, directly or not"


@pytest.mark.parametrize("module", MODULES)
def test_no_module_knows_itself_through_others(module):
    assert module not in reachable(module)


def test_every_station_has_its_module():
    assert set(ORDER) <= set(MODULES)


def test_no_module_is_a_drawer():
    names = {part for module in MODULES for part in module.split("_")}
    assert not names & {"utils", "util", "common", "helpers", "helper", "misc", "tools"}


@pytest.mark.parametrize("module", PURE)
def test_what_handles_values_does_not_know_accelerate(module):
    for name in {module, *reachable(module)}:
        roots = {imported.split(".")[0] for imported in imports(PACKAGE / f"{name}.py")}
        assert "accelerate" not in roots, f"{module}.py through {name}.py"


# --- sizes ---


def test_the_pipeline_fits_on_a_page():
    assert len((ROOT / "train_qa.py").read_text(encoding="utf-8").splitlines()) <= 120


@pytest.mark.parametrize("module", MODULES)
def test_files_and_functions_are_short(module):
    path = PACKAGE / f"{module}.py"
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 350
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef):
            documented = ast.get_docstring(node) is not None
            begin = node.body[0].end_lineno if documented else node.lineno
            assert node.end_lineno - begin < 40, f"{module}.{node.name}"


# --- settings ---


def flags(config, section="config"):
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from flags(value, field.name)
        else:
            yield section, field.name


def uses():
    """Pairs `name.attribute` of all code but config.py, such as ("training", "epochs")."""
    for path in [ROOT / "train_qa.py", *(PACKAGE / f"{module}.py" for module in MODULES if module != "config")]:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
                owner = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
                yield owner, node.attr


@pytest.mark.parametrize(("section", "flag"), list(flags(RunConfig())))
def test_every_flag_is_used_outside_the_configuration(section, flag):
    """Where it is read from a variable or attribute named after its section, or `config`."""
    if (section, flag) == ("tracking", "report_to"):
        flag = "trackers"  # the same without the word for an empty list
    assert {(section, flag), ("config", flag)} & set(uses())
