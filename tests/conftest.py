"""What every test runs under: no network, offline trackers, a cache of its own, types checked as the code runs."""

import logging
import os
import re
import shutil
import tempfile
from pathlib import Path

os.environ["HF_DATASETS_CACHE"] = tempfile.mkdtemp(prefix="qa-tests-")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["WANDB_MODE"] = "offline"
os.environ["WANDB_SILENT"] = "true"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny models gain nothing from more, and tests run side by side

from beartype.claw import beartype_package
from jaxtyping import install_import_hook

ROOT = Path(__file__).parents[1]


def modules_with_shapes():
    """Return the modules of the product whose annotations name shapes, themselves or by an alias; no package."""
    texts = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path.read_text("utf-8")
        for path in ROOT.glob("qa/**/*.py")
        if path.name != "__init__.py"
    }
    aliases = {
        name for text in texts.values() for name in re.findall(r"^(\w+) = \w+\[np\.ndarray, ", text, re.MULTILINE)
    }
    names = re.compile(rf"\b(jaxtyping|{'|'.join(sorted(aliases))})\b")
    return [module for module, text in texts.items() if names.search(text)]


# Apart, since comparing shapes takes ten times the time of checking types, and a row is read by many functions.
install_import_hook(modules_with_shapes(), "beartype.beartype")
beartype_package("qa")  # all others

import pytest  # noqa: E402 - the libraries read the environment when imported
from accelerate.state import AcceleratorState, GradientState, PartialState  # noqa: E402


@pytest.fixture
def fresh_accelerator():
    """Give a function that makes accelerate, which keeps its state in singletons, forget the run before."""

    def forget():
        for state in (AcceleratorState, GradientState, PartialState):
            state._reset_state()

    forget()
    yield forget
    forget()


@pytest.fixture(autouse=True)
def no_terminal_handlers_left():
    """Forget the handlers that runs and the service gave loggers: they write to what was the terminal of one test."""
    yield
    for logger in map(logging.getLogger, ("", "qa", "uvicorn.error", "py.warnings")):
        for handler in [one for one in logger.handlers if type(one) is logging.StreamHandler]:
            logger.removeHandler(handler)
            logger.propagate = True
    logging.captureWarnings(capture=False)
    logging.getLogger("qa.access").disabled = False


def pytest_sessionfinish():
    shutil.rmtree(os.environ["HF_DATASETS_CACHE"], ignore_errors=True)
