"""An interface of gradio for a reader."""

import pytest

pytest.importorskip("gradio", reason="needs gradio; pip install 'extractive-qa[gradio]'")

import qa
from qa.adapters.gradio import reader_interface
from tests.support.predictors import CONTEXT, QUESTION

pytestmark = pytest.mark.filterwarnings("ignore")  # of its own


def test_an_interface_asks_and_shows_answer_and_score(folder):
    nlp = qa.pipeline("question-answering", str(folder), device=-1)
    wanted = nlp(question=QUESTION, context=CONTEXT)
    interface = reader_interface(nlp)
    assert [part.label for part in interface.input_components] == ["Context", "Question"]
    assert interface.fn(CONTEXT, QUESTION) == (wanted["answer"], wanted["score"])
