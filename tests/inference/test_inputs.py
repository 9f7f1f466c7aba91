"""Rows of a call: pairing, order, chunks, and what is no row."""

import itertools

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from qa.errors import ExampleError
from qa.inference.inputs import INPUTS_AT_ONCE, cut_into_chunks, problem_of
from tests.support.predictors import CONTEXT, QUESTION, as_texts, pairs


class Places:
    """What has a length and an item at any place, also behind its end, and is not iterable."""

    def __len__(self):
        return 3

    def __getitem__(self, at):
        return pairs(3)[at % 3]


class Endless:
    """What has items at places and no length."""

    def __getitem__(self, at):
        return {"question": QUESTION, "context": CONTEXT}


def test_every_form_of_input_gives_the_same_answers(predictor):
    wanted = [predictor(question=pair["question"], context=pair["context"]) for pair in pairs(3)]
    assert [predictor(pair) for pair in pairs(3)] == wanted
    assert as_texts(predictor(pairs(3))) == as_texts(wanted)
    assert as_texts(predictor(tuple(pairs(3)))) == as_texts(wanted)
    assert as_texts(list(predictor(pair for pair in pairs(3)))) == as_texts(wanted)
    columns = {name: [pair[name] for pair in pairs(3)] for name in ("question", "context")}
    assert as_texts(predictor(**columns)) == as_texts(wanted)
    assert as_texts(predictor(columns)) == as_texts(wanted)
    assert as_texts(predictor(columns["question"], columns["context"])) == as_texts(wanted)
    assert predictor(*pairs(1)[0].values()) == wanted[0]
    assert as_texts(list(predictor(Places()))) == as_texts(wanted)
    arrays = {name: pa.array(column) for name, column in columns.items()}
    assert as_texts(predictor(**arrays)) == as_texts(predictor(arrays)) == as_texts(wanted)
    assert as_texts(list(predictor(pa.array(pairs(3))))) == as_texts(wanted)


def test_one_of_either_goes_with_all_of_the_other(predictor):
    contexts = [CONTEXT, "Paris is in France.", "Nothing here."]
    assert len(predictor(question=QUESTION, context=contexts)) == 3
    assert len(predictor(question=[QUESTION, "What is it?"], context=CONTEXT)) == 2
    assert predictor(question=[], context=CONTEXT) == []
    assert predictor([]) == []
    assert list(predictor(iter([]))) == []


def test_a_list_of_one_is_a_list(predictor):
    assert isinstance(predictor([{"question": QUESTION, "context": CONTEXT}]), list)
    assert isinstance(predictor(question=[QUESTION], context=CONTEXT), list)


def test_a_generator_is_read_a_chunk_at_a_time(predictor):
    drawn = 0

    def endless():
        nonlocal drawn
        for drawn in itertools.count(1):
            yield {"question": f"Which is {drawn}?", "context": f"It is {drawn}."}

    results = predictor(endless(), batch_size=256)
    assert drawn == 0
    first = next(results)
    assert CONTEXT or first
    assert drawn == INPUTS_AT_ONCE
    list(itertools.islice(results, INPUTS_AT_ONCE - 1))
    assert drawn == INPUTS_AT_ONCE


def test_chunks_are_cut_by_characters_too():
    long = {"question": "Q?", "context": "word " * 1_000_000}
    short = {"question": "Q?", "context": "word"}
    assert [len(chunk) for chunk in cut_into_chunks([long, long, short, short], 1024)] == [2, 2]
    assert [len(chunk) for chunk in cut_into_chunks([short] * 5, 2)] == [2, 2, 1]


def test_groups_of_rows_are_cut_alike_together_and_each_by_itself():
    """So that a command that goes on, or several processes, make the same batches, to the last digit."""
    long = {"question": "Q?", "context": "word " * 2_000_000}
    short = {"question": "Q?", "context": "word"}
    groups = [[short, long, short, short], [short, short, short, long], [short]]
    together = [len(chunk) for chunk in cut_into_chunks(itertools.chain(*groups), 4)]
    assert together == [len(chunk) for group in groups for chunk in cut_into_chunks(group, 4)] == [2, 2, 4, 1]


def test_a_problem_is_told_without_an_error():
    assert problem_of({"question": "q", "context": "c"}) is None
    assert problem_of({"question": "q", "context": " "}, takes_blank=True) is None
    assert problem_of({"question": "q", "context": None}) == "context is None; wanted text"


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"question": "", "context": "c"}, "input 2: question is ''"),
        ({"question": "q", "context": " \n"}, "input 2: context is"),
        ({"question": "q"}, "input 2: context is None"),
        ({"question": 3, "context": "c"}, "input 2: question is 3"),
        ({"question": "q", "context": "a\ud800"}, "input 2: context has a lone surrogate at character 1"),
        ("text", "input 2 is 'text'"),
    ],
)
def test_bad_inputs_are_named_by_index(predictor, bad, message):
    good = {"question": "q", "context": "c"}
    with pytest.raises(ExampleError, match=message):
        list(predictor(iter([good, good, bad])))


@pytest.mark.parametrize(
    "inputs", [5, QUESTION, b"x", {QUESTION}, np.array(QUESTION), pd.DataFrame(pairs(1)), Endless()], ids=type
)
def test_what_holds_no_inputs_is_refused_before_anything_is_read(predictor, inputs):
    with pytest.raises(ExampleError, match=r"inputs is .*wanted a dict with question and context, several of these"):
        predictor(inputs)


@pytest.mark.parametrize(
    "call",
    [
        {"question": ["a", "b"], "context": ["c"]},
        {"inputs": {"question": "a", "context": "b"}, "question": "c"},
        {"question": "a"},
        {},
    ],
)
def test_inputs_that_do_not_pair_are_refused(predictor, call):
    with pytest.raises(ExampleError):
        predictor(**call)
