"""MLflow saves a pipeline as a model of its transformers flavour, and serves it."""

import pytest

pytest.importorskip("mlflow.transformers", reason="needs the whole of MLflow; pip install mlflow")

import mlflow

import qa
from tests.support.predictors import CONTEXT, QUESTION, pairs
from tests.support.restored import pipeline_restored

pytestmark = pytest.mark.filterwarnings("ignore")  # of its own


@pytest.fixture
def nlp(folder):
    return qa.pipeline("question-answering", str(folder), device=-1)


def test_a_saved_pipeline_is_loaded_as_it_was(nlp, tmp_path):
    wanted = nlp(pairs(3))
    with pipeline_restored():
        mlflow.transformers.save_model(nlp, tmp_path / "model", task="question-answering", pip_requirements=["qa"])
        loaded = mlflow.transformers.load_model(str(tmp_path / "model"))
        assert type(loaded) is qa.QuestionAnsweringPipeline
        assert loaded(pairs(3)) == wanted


def test_a_served_pipeline_answers(nlp, tmp_path):
    wanted = nlp(question=QUESTION, context=CONTEXT)
    with pipeline_restored():
        mlflow.transformers.save_model(nlp, tmp_path / "model", task="question-answering", pip_requirements=["qa"])
        served = mlflow.pyfunc.load_model(str(tmp_path / "model"))
        found = served.predict({"question": QUESTION, "context": CONTEXT})
    assert wanted["answer"] in str(found)
