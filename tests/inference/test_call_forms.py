"""Every way in which the removed pipeline was called, and what comes back."""

import datasets
import numpy as np
import pandas as pd
import pytest
import torch

import qa
from qa.errors import ExampleError
from tests.support.predictors import CONTEXT, QUESTION

OTHER = "When?"
ROW = {"question": QUESTION, "context": CONTEXT}
ROWS = [ROW, {"question": OTHER, "context": CONTEXT}]


@pytest.fixture(scope="module")
def nlp(folder):
    return qa.pipeline("question-answering", model=str(folder), device="cpu")


@pytest.fixture(scope="module")
def wanted(nlp):
    found = [nlp(question=row["question"], context=row["context"]) for row in ROWS]
    assert all(one.keys() == {"score", "start", "end", "answer"} for one in found)
    assert found[0] != found[1]
    return found


ONE = {
    "keywords": lambda nlp: nlp(question=QUESTION, context=CONTEXT),
    "two arguments": lambda nlp: nlp(QUESTION, CONTEXT),
    "a dict": lambda nlp: nlp(ROW),
    "a dict with more": lambda nlp: nlp(ROW | {"id": 3, "answers": {}}),
    "a list of one": lambda nlp: nlp([ROW]),
    "lists of one": lambda nlp: nlp(question=[QUESTION], context=[CONTEXT]),
    "data": lambda nlp: nlp(data=ROW),
    "X": lambda nlp: nlp(X=ROW),
    "inputs": lambda nlp: nlp(inputs=ROW),
    "a sample": lambda nlp: nlp(nlp.create_sample(question=QUESTION, context=CONTEXT)),
    "without effect": lambda nlp: nlp(ROW, padding="longest", truncation=True, num_workers=2, batch_size=4),
    "top_k None": lambda nlp: nlp(ROW, top_k=None),
    "predict": lambda nlp: nlp.predict(ROW),
    "transform": lambda nlp: nlp.transform(ROW),
    "keywords and more": lambda nlp: nlp(question=QUESTION, context=CONTEXT, max_question_len=64, doc_stride=8),
}
SEVERAL = {
    "a list": lambda nlp: nlp(ROWS),
    "a tuple": lambda nlp: nlp(tuple(ROWS)),
    "several dicts": lambda nlp: nlp(*ROWS),
    "data": lambda nlp: nlp(data=ROWS),
    "X": lambda nlp: nlp(X=ROWS),
    "lists": lambda nlp: nlp(question=[QUESTION, OTHER], context=[CONTEXT, CONTEXT]),
    "lists as arguments": lambda nlp: nlp([QUESTION, OTHER], [CONTEXT, CONTEXT]),
    "one context": lambda nlp: nlp(question=[QUESTION, OTHER], context=CONTEXT),
    "a dict of lists": lambda nlp: nlp({"question": [QUESTION, OTHER], "context": [CONTEXT, CONTEXT]}),
    "an array": lambda nlp: nlp(question=np.array([QUESTION, OTHER]), context=CONTEXT),
    "series": lambda nlp: nlp(question=pd.DataFrame(ROWS)["question"], context=pd.DataFrame(ROWS)["context"]),
    "records": lambda nlp: nlp(pd.DataFrame(ROWS).to_dict("records")),
    "columns": lambda nlp: nlp(
        question=datasets.Dataset.from_list(ROWS)["question"], context=datasets.Dataset.from_list(ROWS)["context"]
    ),
    "a data set": lambda nlp: nlp(datasets.Dataset.from_list(ROWS)),
    "samples": lambda nlp: nlp(nlp.create_sample([QUESTION, OTHER], [CONTEXT, CONTEXT])),
}
STREAMS = {
    "a generator": lambda nlp: nlp(row for row in ROWS),
    "an iterator": lambda nlp: nlp(iter(ROWS), batch_size=2),
    "a torch data set": lambda nlp: nlp(Places()),
}


class Places(torch.utils.data.Dataset):
    """What has a length and places, and is not iterable."""

    def __len__(self):
        return len(ROWS)

    def __getitem__(self, at):
        return ROWS[at]


@pytest.mark.parametrize("form", ONE)
def test_one_input_is_one_answer(nlp, wanted, form):
    assert ONE[form](nlp) == pytest.approx(wanted[0])


@pytest.mark.parametrize("form", SEVERAL)
def test_several_inputs_are_a_list(nlp, wanted, form):
    assert SEVERAL[form](nlp) == [pytest.approx(one) for one in wanted]


@pytest.mark.parametrize("form", STREAMS)
def test_streams_are_streams(nlp, wanted, form):
    found = STREAMS[form](nlp)
    assert not isinstance(found, list)
    assert list(found) == [pytest.approx(one) for one in wanted]


@pytest.mark.parametrize("name", ["top_k", "topk"])
def test_more_answers_are_a_list(nlp, name):
    assert len(nlp(ROW, **{name: 3})) == 3
    assert [len(found) for found in nlp(ROWS, **{name: 2})] == [2, 2]


@pytest.mark.parametrize("blank", [" ", "\n\t", "\u3000"])
def test_a_blank_context_has_the_empty_answer(nlp, blank):
    assert nlp(question=QUESTION, context=blank) == {"score": 0.0, "start": 0, "end": 0, "answer": ""}
    mixed = nlp(question=QUESTION, context=[CONTEXT, blank])
    assert mixed[0] == pytest.approx(nlp(ROW))
    assert mixed[1]["answer"] == ""
    assert nlp(question=QUESTION, context=blank, handle_impossible_answer=True)["answer"] == ""


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda nlp: nlp(), "wanted inputs in one place"),
        (lambda nlp: nlp(ROW, question=QUESTION), "wanted inputs in one place"),
        (lambda nlp: nlp(data=ROW, X=ROW), "wanted inputs in one place"),
        (lambda nlp: nlp(QUESTION), "input is 'Who named the Amazon\\?'; wanted a dict"),
        (lambda nlp: nlp([QUESTION]), "wanted a dict with question and context"),
        (lambda nlp: nlp(question=QUESTION), "context is None"),
        (lambda nlp: nlp(context=CONTEXT), "question is None"),
        (lambda nlp: nlp({"question": QUESTION}), "context is None"),
        (lambda nlp: nlp(question=QUESTION, context=""), "context is ''; wanted text"),
        (lambda nlp: nlp(question=[QUESTION] * 2, context=[CONTEXT] * 3), "found 2 questions and 3 contexts"),
        (lambda nlp: nlp(question=3, context=CONTEXT), "question is 3; wanted text"),
        (lambda nlp: nlp(torch.utils.data.Dataset()), "wanted a dict with question and context"),
        (lambda nlp: nlp(pd.DataFrame(ROWS)), "wanted a dict with question and context"),
    ],
)
def test_what_is_no_input_is_refused(nlp, call, message):
    with pytest.raises(ExampleError, match=message):
        call(nlp)


def test_no_inputs_have_no_answers(nlp):
    assert nlp([]) == []
    assert list(nlp(iter([]))) == []
    assert nlp(question=[], context=[]) == []
