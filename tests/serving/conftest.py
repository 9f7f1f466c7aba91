"""A tiny reader, and a service of it."""

from dataclasses import replace

import pytest
import torch

from qa.inference.predictor import Predictor
from qa.inference.torch_reader import torch_backend
from qa.modeling.reader import load_reader
from qa.modeling.settings import DEFAULT_SETTINGS
from tests.support import tiny
from tests.support.service import serving

SETTINGS = replace(DEFAULT_SETTINGS, max_length=96, doc_stride=24, max_question_length=24)


@pytest.fixture(scope="session")
def predictor(tmp_path_factory):
    reader = load_reader(str(tiny.save_reader(tmp_path_factory.mktemp("reader"))))
    return Predictor(torch_backend(replace(reader, settings=SETTINGS), device=torch.device("cpu")))


@pytest.fixture(scope="session")
def client(predictor):
    with serving(predictor) as found:
        yield found
