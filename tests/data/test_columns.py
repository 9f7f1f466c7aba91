"""A row under any names."""

import math

from qa.data.annotations import Mark
from qa.data.columns import missing_columns, read_columns


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


def test_answers_are_not_looked_at_where_nobody_wants_them():
    row = read_columns({"context": "c", "question": "q", "answers": [3.5], "labels": 1}, with_answers=False)
    assert (row.marks, row.ignored) == (None, ())


def test_labels_of_a_generated_answer_are_places_in_it():
    labels = [{"start": 0, "end": 5, "label": "conflict"}, {"start": 9, "end": 12, "label": "baseless"}]
    row = read_columns({"prompt": "Sum it up: …", "answer": "Paris is old.", "labels": labels, "task_type": "Summary"})
    assert (row.question, row.context) == ("Sum it up: …", "Paris is old.")
    assert row.marks == [Mark(None, 0, 5), Mark(None, 9, 12)]
    assert read_columns({"prompt": "p", "answer": "a", "labels": []}).marks == []
    asked = read_columns({"question": "q", "context": "c", "prompt": "p", "answer": "a", "labels": []})
    assert (asked.question, asked.context, asked.marks) == ("q", "c", [Mark("a")])


def test_labelled_stretches_of_a_context_are_its_answers():
    row = read_columns({"question": "q", "context": "One. Two.", "spans": [{"start": 0, "end": 4}]})
    assert row.marks == [Mark(None, 0, 4)]


def test_words_with_a_tag_for_each_become_texts_with_places():
    row = {
        "id": "7",
        "question": ["Which", "cities", "?"],
        "context": ["Bonn", ",", "New", "York", "Rome", "."],
        "label": ["B", "O", "B", "I", "B", "O"],
        "num_span": 3,
    }
    read = read_columns(row)
    assert (read.question, read.context) == ("Which cities ?", "Bonn , New York Rome .")
    assert [read.context[mark.start : mark.end] for mark in read.marks] == ["Bonn", "New York", "Rome"]
    assert read_columns(row | {"label": ["O"] * 6}).marks == []
    assert read_columns(row | {"label": ["I", "I", "O", "O", "O", "O"]}).marks == [Mark(None, 0, 6)]


def test_words_without_as_many_tags_stay_words():
    assert read_columns({"question": "q", "context": ["a", "b"]}).context == ["a", "b"]
    for label in (["B"], ["B", "X"], [[0], [1]], "BO", None):
        assert read_columns({"question": "q", "context": ["a", "b"], "label": label}).context == ["a", "b"]


def test_words_without_any_tags_become_texts():
    row = {"id": "7", "question": ["Which", "?"], "context": ["New", "York", "."]}
    for more in ({}, {"label": None}):
        read = read_columns(row | more)
        assert (read.question, read.context, read.marks) == ("Which ?", "New York .", None)
    assert read_columns(row | {"label": ["B"]}).context == ["New", "York", "."]


def test_both_ends_of_an_answer_are_enough_without_its_text():
    known = {"context": "One. Two.", "question": "q"}
    for start, end, wanted in ((5, 8, [Mark(None, 5, 8)]), ("5", "8", [Mark(None, 5.0, 8.0)]), ([0, 5], [3, 8], None)):
        row = read_columns(known | {"answer_start": start, "answer_end": end})
        assert row.marks == (wanted or [Mark(None, 0, 3), Mark(None, 5, 8)])
        assert row.read_from == ("answer_start", "answer_end")
    empty = read_columns(known | {"answer_start": "", "answer_end": ""})
    assert (empty.marks, empty.blank) == (None, True)


def test_places_that_are_not_read_are_named():
    known = {"context": "One. Two.", "question": "q"}
    assert read_columns(known | {"answer_start": 5}).ignored == ("answer_start",)
    recording = read_columns(known | {"start": 5, "end": 8})
    assert (recording.marks, recording.ignored) == (None, ("start",))
    assert read_columns(known | {"answer": "Two", "answer_start": 5}).ignored == ()
