"""What a request asks is what the predictor is asked."""

import pytest

from qa.serving.schema import Asking, Document, Options
from qa.serving.tasks import AnswerTask, SearchTask
from tests.support.service import CONTEXT, QUESTION

ROWS = [{"question": QUESTION, "context": CONTEXT}, {"question": "How much?", "context": "A lot."}]


@pytest.mark.parametrize("top_k", [1, 3])
def test_every_input_has_a_list_of_answers(predictor, top_k):
    options = Asking(top_k=top_k, no_answer=False)
    task = AnswerTask(rows=ROWS, options=options)
    found = task.answer(predictor)["results"]
    wanted = predictor(ROWS, top_k=top_k, no_answer=False)
    assert found == (wanted if top_k > 1 else [[one] for one in wanted])
    assert [len(answers) for answers in found] == [top_k, top_k]


def test_a_search_has_one_list_over_all_passages(predictor):
    contexts = [row["context"] for row in ROWS]
    task = SearchTask(question=QUESTION, contexts=contexts, options=Options(top_k=2))
    assert task.answer(predictor)["results"] == predictor.search(QUESTION, contexts, top_k=2)


def test_what_makes_answers_doubtful_stands_beside_them(predictor):
    known = AnswerTask(rows=ROWS, options=Asking()).answer(predictor)
    assert known["warnings"] == []
    strange = [{"question": "ᚠᚢᚦᚨ ᚱᚲ?", "context": CONTEXT}]
    found = AnswerTask(rows=strange, options=Asking(max_question_length=2)).answer(predictor)
    assert {one["kind"] for one in found["warnings"]} == {"unknown_tokens", "question_cut"}
    assert found["unknown_tokens"]["questions"] > known["unknown_tokens"]["questions"]


def test_the_size_of_a_task_is_its_inputs_and_their_characters():
    one = AnswerTask(rows=ROWS, options=Asking())
    other = SearchTask(question=QUESTION, contexts=["abc", "de", Document(text="🛶")], options=Options())
    assert (one.size, one.characters) == (2, len(CONTEXT) + len("A lot."))
    assert (other.size, other.characters) == (3, 6)
