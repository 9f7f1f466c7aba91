"""One reader for all tests of this folder."""

import pytest

from qa.jobs.answering import reader_spec
from tests.support.predictors import saved


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("reader"))


@pytest.fixture(scope="session")
def spec(folder):
    return reader_spec(str(folder), device="cpu")


@pytest.fixture(scope="session")
def answering(spec):
    return spec.load()
