"""One reader for all tests of this folder."""

import pytest

from qa.inference.predictor import Predictor
from tests.support.predictors import saved


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("reader"))


@pytest.fixture(scope="session")
def predictor(folder):
    return Predictor.from_pretrained(folder, device="cpu")
