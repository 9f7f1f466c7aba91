"""What every test runs under: no network, offline trackers, a cache of its own."""

import logging
import os
import shutil
import tempfile

os.environ["HF_DATASETS_CACHE"] = tempfile.mkdtemp(prefix="qa-tests-")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["WANDB_MODE"] = "offline"
os.environ["WANDB_SILENT"] = "true"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny models gain nothing from more, and tests run side by side

import pytest  # the libraries read the environment when imported
from accelerate.state import AcceleratorState, GradientState, PartialState


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
