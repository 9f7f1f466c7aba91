"""BentoML keeps a pipeline in its store, pickled; its transformers framework does not load beside transformers 5."""

import pytest

bentoml = pytest.importorskip("bentoml", reason="needs BentoML; pip install bentoml")

import qa
from tests.support.predictors import pairs

pytestmark = pytest.mark.filterwarnings("ignore")  # of its own


def test_a_stored_pipeline_is_loaded_as_it_was(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path))
    monkeypatch.setenv("BENTOML_DO_NOT_TRACK", "True")
    nlp = qa.pipeline("question-answering", str(folder), device=-1)
    wanted = nlp(pairs(3))
    loaded = bentoml.picklable_model.load_model(bentoml.picklable_model.save_model("reader", nlp).tag)
    assert type(loaded) is qa.QuestionAnsweringPipeline
    assert loaded(pairs(3)) == wanted
