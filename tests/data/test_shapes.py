"""A JSON value of any shape -> flat rows."""

import json

import pytest

from qa.errors import DataError
from tests.support.formats import ROWS, failure, nested
from tests.support.rows import CONTEXT, METRES, TALL, WHO, loaded, references, write
from tests.support.squad_rows import BOTH, TWO, flat, paragraph, squad


def test_plausible_answers_are_no_answers(tmp_path):
    document = nested(ROWS[:1], version="v2.0")
    question = document["data"][0]["paragraphs"][0]["qas"][0]
    question |= {"is_impossible": True, "answers": [], "plausible_answers": question["answers"]}
    (row,) = loaded(tmp_path, document).rows
    assert row["answers"] == {"text": [], "answer_start": []}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"data": "text"}, "data is of type str; wanted a list"),
        ({"data": [{"paragraphs": 3}]}, ": data[0].paragraphs is of type int; wanted a list"),
        ({"data": [{"paragraphs": [7]}]}, ": data[0].paragraphs[0] is of type int; wanted an object"),
        ({"data": [{"paragraphs": [{"qas": None}]}]}, ": data[0].paragraphs[0].qas is of type NoneType; wanted a list"),
        ({"data": [{"paragraphs": [{"qas": ["x"]}]}]}, "data[0].paragraphs[0].qas[0] is of type str; wanted an object"),
    ],
)
def test_a_wrong_nesting_says_where(tmp_path, content, expected):
    assert expected in failure(write(tmp_path / "a", json.dumps(content)))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", [paragraph(TWO[0]), paragraph(TWO[1])]),
        ("a.json", paragraph(*TWO)),
        ("a.json", squad(paragraph(TWO[0]), paragraph(TWO[1]))),
        ("a.json", squad(paragraph(*TWO))["data"]),
        ("a.json", squad(paragraph(*TWO))["data"][0]),
        ("a.json", {"data": squad(paragraph(*TWO))["data"][0]}),
        ("a.jsonl", [squad(paragraph(question))["data"][0] for question in TWO]),
        ("a.jsonl", [paragraph(question) for question in TWO]),
        ("a.jsonl", [squad(paragraph(question)) for question in TWO]),
        ("a.json", [paragraph(TWO[0]), flat("a2", TALL, [{"text": "34 metres", "answer_start": 66}])]),
        ("a.json", [squad(paragraph(TWO[0]))["data"][0], paragraph(TWO[1])]),
        ("a.json", {"train": squad(paragraph(*TWO)), "validation": []}),
        ("a.json", {"train": [paragraph(*TWO)], "dev": []}),
        ("a.json", {"data": [{"title": "L", "context": CONTEXT, "qas": list(TWO)}]}),  # KorQuAD 2: no paragraphs
    ],
)
def test_whatever_holds_paragraphs_or_questions_is_read_in_every_shape(tmp_path, name, content):
    examples = loaded(tmp_path, content, name=name)
    assert references(examples) == BOTH
    assert examples.rows["question"][:] == [WHO, TALL]
    assert set(examples.rows["context"][:]) == {CONTEXT}


def test_a_file_with_a_part_for_each_split_has_no_others(tmp_path):
    parts = {"train": [paragraph(TWO[0])], "validation": [paragraph(TWO[1])]}
    assert references(loaded(tmp_path, parts, split="validation")) == {"a2": [METRES]}
    assert references(loaded(tmp_path, {"train": [], "dev": [paragraph(TWO[1])]}, split="validation"))
    with pytest.raises(DataError, match="no split 'test'; found train, validation"):
        loaded(tmp_path, parts, split="test")
