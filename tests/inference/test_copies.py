"""Predictors in threads, as copies and in other processes: the same answers, or a line that says why not."""

import copy
import multiprocessing
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

import qa
from qa.errors import ModelError
from qa.inference.onnx_export import export_onnx
from qa.inference.predictor import Predictor
from qa.modeling.reader import load_trained_reader
from tests.support.predictors import CONTEXT, QUESTION, as_texts, pairs

pytest.importorskip("onnxscript", reason="needs ONNX files; pip install 'extractive-qa[export]'")

BACKENDS = ("torch", "onnx", "onnx_int8")
_LONG = [CONTEXT * 20, *[CONTEXT * many for many in range(12, 20)]]  # enough for several threads to share the work
_SECONDS = 60  # to answer: what hangs does so for ever

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*:DeprecationWarning")


@pytest.fixture(scope="module")
def exported(folder):
    export_onnx(load_trained_reader(str(folder)), folder)
    return folder


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


@pytest.fixture
def own(exported, backend, tmp_path):
    """A predictor whose folder belongs to one test."""
    return Predictor.from_pretrained(shutil.copytree(exported, tmp_path / "own"), device="cpu", backend=backend)


@pytest.fixture
def two_threads(monkeypatch):
    """Of a model's own, which a forked process does not have."""
    before = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def long_answers(predictor):
    return as_texts(predictor(question=QUESTION, context=_LONG))


# --- threads ---


def test_threads_share_a_predictor(own):
    calls = [{"top_k": 3}, {"max_length": 48, "doc_stride": 16}, {"align_to_words": True}, {"score": "window"}] * 4
    wanted = [own(pairs(6), **options) for options in calls]
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(lambda options: own(pairs(6), **options), calls)) == wanted


# --- copies ---


def test_a_pickled_predictor_answers_alike(own):
    again = pickle.loads(pickle.dumps(own))
    assert again(pairs(4)) == own(pairs(4))
    assert again.settings == own.settings


def test_a_deep_copy_answers_alike(own):
    again = copy.deepcopy(own)
    assert again is not own
    assert again(pairs(4)) == own(pairs(4))


def test_a_pickled_predictor_needs_no_folder(own, tmp_path):
    wanted, pickled = own(pairs(2)), pickle.dumps(own)
    shutil.rmtree(tmp_path / "own")
    assert pickle.loads(pickled)(pairs(2)) == wanted


def test_the_pipeline_is_copied_and_pickled(exported):
    nlp = qa.pipeline("question-answering", str(exported), device=-1)
    wanted = nlp(pairs(2))
    assert copy.deepcopy(nlp)(pairs(2)) == pickle.loads(pickle.dumps(nlp))(pairs(2)) == wanted


@pytest.mark.parametrize("change", ["gone", "another"])
def test_an_onnx_file_that_is_not_what_was_loaded_is_not_pickled(exported, tmp_path, change):
    own = Predictor.from_pretrained(shutil.copytree(exported, tmp_path / "own"), backend="onnx")
    file = tmp_path / "own/onnx/model.onnx"
    if change == "gone":
        file.unlink()
    else:
        file.write_bytes(b"another")
    with pytest.raises(ModelError, match=r"model\.onnx (is not there any more|has changed since it was loaded)"):
        pickle.dumps(own)


# --- forks ---


def in_a_fork(call):
    """What the call returns, or the message of what it raises, in a forked process."""
    here, there = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_say, args=(there, call))
    process.start()
    try:
        assert here.poll(_SECONDS), "the forked process hangs"
        return here.recv()
    finally:
        process.kill()
        process.join()


def _say(pipe, call):
    try:
        pipe.send(call())
    except qa.errors.QAError as error:
        pipe.send(str(error))


@pytest.mark.usefixtures("two_threads")
def test_a_forked_process_answers(own, monkeypatch):
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "true")  # whose threads a forked process does not have either
    wanted = long_answers(own)
    assert in_a_fork(lambda: long_answers(own)) == wanted
    assert in_a_fork(lambda: in_a_fork(lambda: long_answers(own))) == wanted, "a fork of a fork"
    assert long_answers(own) == wanted, "the parent goes on"


@pytest.mark.usefixtures("two_threads")
def test_a_forked_process_loads_a_reader(own, exported, backend):
    wanted = long_answers(own)
    answers = in_a_fork(lambda: long_answers(Predictor.from_pretrained(exported, device="cpu", backend=backend)))
    assert answers == wanted


@pytest.mark.usefixtures("two_threads")
def test_a_forked_process_says_that_the_file_is_gone(exported, tmp_path):
    own = Predictor.from_pretrained(shutil.copytree(exported, tmp_path / "own"), backend="onnx")
    long_answers(own)
    shutil.rmtree(tmp_path / "own")
    assert "model.onnx is not there any more" in in_a_fork(lambda: long_answers(own))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_forked_process_is_refused_its_parents_accelerator(folder):
    own = Predictor.from_pretrained(folder)
    long_answers(own)
    assert "no forked process can use; wanted a spawned one" in in_a_fork(lambda: long_answers(own))
