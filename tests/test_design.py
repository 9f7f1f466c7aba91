"""The rules that the code keeps: which part may know which, how long things are, and a map that is the tree."""

import ast
import re

import numpy as np
import pytest
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import TypeCheckError

import qa
from qa.evaluation.calibration import log_loss
from qa.features.graphemes import is_white
from qa.modeling.settings import load_settings
from tests.support.source import FILES, PACKAGE, ROOT, definitions, imports, reachable

LINES = (
    {"lazy"},
    {"errors"},
    {"checks"},
    {"files", "representations"},
    {"recipe"},
    {"config"},
    {"metrics", "runtime"},
    {"foreign_flags"},
    {"presets", "data"},
    {"features", "adaptation"},
    {"modeling", "decoding"},
    {"evaluation", "inference"},
    {"training", "serving", "report", "adapters", "jobs"},
    {"run_folder", "tracking", "ray", "spark"},
    {"experiments"},
    {"cli", "api"},
)
"""Each line may know the lines above it; parts of one line do not know each other."""
ONLY_IN = {
    "accelerate": ("qa.runtime.", "qa.evaluation.", "qa.training.", "qa.run_folder.", "qa.tracking."),
    "fastapi": ("qa.serving.",),
    "starlette": ("qa.serving.",),
    "onnxruntime": ("qa.inference.onnx",),
    "wandb": ("qa.tracking.wandb", "qa.modeling.artifacts"),
    "mlflow": ("qa.tracking.mlflow",),
    "rich": ("qa.cli.",),
    "scipy": ("qa.experiments.",),
    "matplotlib": ("qa.experiments.plots",),
    "optuna": ("qa.experiments.search",),
    "bm25s": ("qa.inference.lexical",),
    "haystack": ("qa.adapters.haystack",),
    "langchain_core": ("qa.adapters.langchain",),
    "llama_index": ("qa.adapters.llama_index",),
    "spacy": ("qa.adapters.spacy",),
    "pandas": ("qa.adapters.pandas",),
    "polars": ("qa.adapters.polars",),
    "gradio": ("qa.adapters.gradio",),
    "peft": ("qa.modeling.lora",),
    "codecarbon": ("qa.runtime.energy",),
    "ray": ("qa.ray",),
    "pyspark": ("qa.spark",),
}
"""Packages that only some parts may know."""
DRAWERS = {"utils", "util", "common", "helpers", "helper", "misc", "tools"}


def part_of(module):
    """`qa.data.sources` -> `data`; `qa.errors` -> `errors`; `qa`'s own two files belong to no part."""
    name = module.split(".")[1]
    return None if name in {"__init__", "__main__"} else name


def line_of(part):
    return next(at for at, parts in enumerate(LINES) if part in parts)


# --- imports ---


@pytest.mark.parametrize("module", [module for module in FILES if part_of(module)])
def test_a_part_knows_the_lines_above_it(module):
    part = part_of(module)
    for name in imports(FILES[module]):
        if name.startswith("qa.") and (other := name.split(".")[1]) != part and (PACKAGE / other).exists():
            assert line_of(other) < line_of(part), f"{module} knows {name}"


@pytest.mark.parametrize("module", FILES)
def test_no_module_knows_itself_through_others(module):
    assert module not in reachable(module)


@pytest.mark.parametrize("module", FILES)
def test_packages_are_known_only_where_they_belong(module):
    for name in imports(FILES[module]):
        allowed = ONLY_IN.get(name.split(".")[0])
        assert allowed is None or module.startswith(allowed), f"{module} knows {name}"


def test_every_part_has_its_line():
    assert {part_of(module) for module in FILES} - {None} == set().union(*LINES)


def test_no_module_is_a_drawer():
    names = {word for module in FILES for part in module.split(".") for word in part.split("_")}
    assert not names & DRAWERS


# --- sizes ---


def test_the_pipeline_fits_on_a_page():
    assert len((ROOT / "train_qa.py").read_text(encoding="utf-8").splitlines()) <= 120


@pytest.mark.parametrize("module", FILES)
def test_files_functions_and_classes_are_short(module):
    path = FILES[module]
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 350
    for name, lines in definitions(path, ast.FunctionDef | ast.AsyncFunctionDef):
        assert lines <= 40, f"{module}.{name}"
    for name, lines in definitions(path, ast.ClassDef):
        assert lines <= 150, f"{module}.{name}"


# --- tests ---


@pytest.mark.parametrize("module", [module for module in FILES if not module.rpartition(".")[2].startswith("__")])
def test_every_module_has_a_test_file_of_its_own(module):
    """`qa.data.sources` is tested in `tests/data/test_sources.py`."""
    *folders, name = module.split(".")[1:]
    path = ROOT.joinpath("tests", *folders, f"test_{name}.py")
    assert path.is_file(), f"{module} has no {path.relative_to(ROOT)}"
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    assert any(found.startswith(("test_", "Test")) for found, _ in definitions(path, kinds)), path


# --- the map ---


def test_the_map_is_the_tree():
    """The docstring of the package names every file, and no other, in its folder."""
    mapped, folder = set(), ""
    for line in qa.__doc__.split("\n\n")[2].splitlines():
        indent, names = re.match(r"( *)((?:\w+(?:\.py|/) ?)+)", line).groups()
        folder = names.strip() if names.strip().endswith("/") else folder if len(indent) > 4 else ""
        mapped |= {f"{folder}{name}" for name in names.split() if name.endswith(".py")}
    found = {str(path.relative_to(PACKAGE)) for path in FILES.values() if not path.stem.startswith("__")}
    assert mapped == found


# --- types ---


@pytest.mark.parametrize(
    ("call", "given"),
    [
        (load_settings, ["reader"]),  # in a module that names no shapes
        (log_loss, [np.zeros(3), np.zeros(4, dtype=bool)]),  # that names them by an alias
        (is_white, [np.zeros(3)]),
    ],
)
def test_types_and_shapes_are_checked_in_tests(call, given):
    with pytest.raises((BeartypeCallHintViolation, TypeCheckError)):
        call(*given)
