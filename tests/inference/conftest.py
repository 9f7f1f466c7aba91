"""One reader for all tests of this folder."""

import pytest

from qa.inference.onnx_export import export_onnx
from qa.inference.predictor import Predictor
from qa.modeling.reader import load_reader
from tests.support.predictors import saved


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("reader"))


@pytest.fixture(scope="module")
def predictor(folder):
    return Predictor.from_pretrained(folder, device="cpu")


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """The folder of a reader with its ONNX files beside the weights."""
    for package in ("onnxruntime", "onnxscript"):
        pytest.importorskip(package, reason="makes and runs ONNX files: pip install 'extractive-qa[export]'")
    path = saved(tmp_path_factory.mktemp("exported"))
    export_onnx(load_reader(str(path)), path)
    return path
