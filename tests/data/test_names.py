"""What programs call columns."""

import pytest

from qa.data.names import looks_like_labels, tidy
from tests.support.rows import CONTEXT, WHO, loaded, references


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


@pytest.mark.parametrize("name", ["qid", "question_id", "query_id", "Question ID", "questionId", "_id"])
def test_an_id_has_many_names(tmp_path, name):
    assert list(references(loaded(tmp_path, [{name: "x7", "question": WHO, "context": CONTEXT, "answers": []}]))) == [
        "x7"
    ]


@pytest.mark.parametrize("column", ["my_answer", "label", "span_labels", "annotation", "Gold Response"])
def test_a_column_that_looks_like_labels_and_is_not_read_is_named(tmp_path, column):
    examples = loaded(tmp_path, [{"id": "1", "question": WHO, "context": CONTEXT, column: "ORG", "year": 1}])
    assert not examples.has_references
    (note,) = examples.notes
    assert column in note
    assert "year" not in note
