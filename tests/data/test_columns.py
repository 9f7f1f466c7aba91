"""A row under any names."""

import math

import pytest

from qa.data.annotations import Mark, read_marks
from qa.data.columns import missing_columns, read_columns
from qa.data.names import looks_like_labels, tidy
from qa.data.problems import BadRowError


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("Answer Start", "answer_start"),
        ("answerStart", "answer_start"),
        ("answers.answer_start", "answers_answer_start"),
        ("\ufeffID", "id"),
        (" question ", "question"),
        ("qas-id", "qas_id"),
        ("ANSWER", "answer"),
    ],
)
def test_names_are_alike_whatever_their_spelling(name, wanted):
    assert tidy(name) == wanted


@pytest.mark.parametrize(
    "name", ["answer_text", "myLabel", "Gold Spans", "annotations_v2", "target_entity", "ans", "Output"]
)
def test_a_name_that_labels_could_have_looks_like_one(name):
    assert looks_like_labels(name)


@pytest.mark.parametrize(
    "name", ["plausible_answers", "answer-suggestion", "answer_id", "answer_category", "url", "year"]
)
def test_a_name_that_stands_beside_labels_does_not(name):
    assert not looks_like_labels(name)


def test_the_first_known_name_with_a_value_counts():
    row = read_columns({"id": "", "qid": "7", "text": "t", "context": None, "passage": "p", "question": "q"})
    assert (row.id, row.context, row.question) == ("7", "p", "q")
    assert read_columns({"id": math.nan, "_id": 3}).id == 3


def test_the_columns_that_no_name_stands_for_are_missing():
    assert missing_columns(["id", "Passage", "query"]) == []
    assert missing_columns(["id", "body", "q"]) == ["context"]
    assert missing_columns([]) == ["context", "question"]


def test_a_column_that_may_hold_labels_is_read_only_if_it_holds_spans():
    known = {"context": "c", "question": "q"}
    assert read_columns(known | {"label": [[0, 1, "A"]]}).marks == [Mark(None, 0, 1)]
    for value in ("ORG", 1, ["a"], {"x": 1}, [{"text": "a"}]):
        row = read_columns(known | {"label": value})
        assert (row.marks, row.ignored) == (None, ("label",))


def test_answers_go_before_other_columns_and_an_empty_one_is_passed_over():
    known = {"context": "c", "question": "q"}
    assert read_columns(known | {"label": [[0, 1, "A"]], "answers": ["c"]}).marks == [Mark("c")]
    assert read_columns(known | {"answers": None, "answer": "c"}).marks == [Mark("c")]
    assert read_columns(known | {"answers": "", "answer": "c"}).marks == [Mark("c")]
    empty = read_columns(known | {"answers": None})
    assert (empty.marks, empty.blank) == (None, True)
    assert not read_columns(known).blank


@pytest.mark.parametrize(
    ("columns", "wanted"),
    [
        ({"answer": "c", "answer_start": "3"}, [Mark("c", 3.0)]),
        ({"answer": "c", "answer_start": ""}, [Mark("c")]),
        ({"answer": "c", "start": 3, "end": 4}, [Mark("c", 3, 4)]),
        ({"answers": ["c", "d"], "answer_start": [1, 2]}, [Mark("c", 1), Mark("d", 2)]),
        ({"answers_text": "['c' 'd']", "answers_start": "[1 2]"}, [Mark("c", 1), Mark("d", 2)]),
        ({"answer_text": "[1] Smith", "answer_start": 0}, [Mark("[1] Smith", 0)]),
        ({"answer_text": "[1]", "answer_start": 0}, [Mark("[1]", 0)]),
        ({"answer_text": "['c']", "answer_start": "[0]"}, [Mark("c", 0)]),
        ({"answers": [{"text": "c", "answer_start": 5}], "answer_start": 1}, [Mark("c", 5)]),
    ],
)
def test_places_in_columns_of_their_own_are_put_beside_the_texts(columns, wanted):
    assert read_columns({"context": "c", "question": "q", **columns}).marks == wanted


def test_a_place_that_is_not_a_number_is_none():
    (mark,) = read_columns({"context": "c", "question": "q", "answer": "c", "answer_start": "nan"}).marks
    assert math.isnan(mark.start)


@pytest.mark.parametrize(
    "answers", [[3.5], [[1]], [["a", 1]], {"yes": 1}, True, "{'a", {"text": ["a", "b"], "answer_start": 3}]
)
def test_a_layout_that_is_not_known_is_a_bad_row(answers):
    with pytest.raises(BadRowError):
        read_marks(answers)


def test_answers_are_not_looked_at_where_nobody_wants_them():
    row = read_columns({"context": "c", "question": "q", "answers": [3.5], "labels": 1}, with_answers=False)
    assert (row.marks, row.ignored) == (None, ())
