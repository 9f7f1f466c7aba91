"""One reader for all tests of this folder."""

import pytest

from qa.inference.onnx_export import export_onnx
from qa.inference.predictor import Predictor
from qa.modeling.reader import load_reader
from tests.support.predictors import saved, saved_conditional


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("reader"))


@pytest.fixture(scope="module")
def predictor(folder):
    return Predictor.from_pretrained(folder, device="cpu")


@pytest.fixture(scope="session")
def export():
    """A function that writes ONNX files beside the weights of a folder."""
    for package in ("onnxruntime", "onnxscript"):
        pytest.importorskip(package, reason="makes and runs ONNX files: pip install 'extractive-qa[export]'")

    def write(folder):
        export_onnx(load_reader(str(folder)), folder)
        return folder

    return write


@pytest.fixture(scope="session")
def exported(export, tmp_path_factory):
    """The folder of a reader with its ONNX files beside the weights."""
    return export(saved(tmp_path_factory.mktemp("exported")))


@pytest.fixture(scope="session")
def conditional(tmp_path_factory):
    """The folder of a reader whose ends depend on their starts."""
    return saved_conditional(tmp_path_factory.mktemp("conditional"))


@pytest.fixture(scope="session")
def conditional_exported(export, conditional):
    """The same, with its ONNX files beside the weights."""
    return export(conditional)
