"""Answers in any layout -> marks."""

import math

import pytest

from qa.data.annotations import Mark, read_marks
from qa.data.columns import read_columns
from qa.data.problems import BadRowError
from qa.errors import ExampleError
from tests.support.rows import CONTEXT, LUND, WHO, loaded, references
from tests.support.squad_rows import flat


@pytest.mark.parametrize(
    ("columns", "wanted"),
    [
        ({"answer": "c", "answer_start": "3"}, [Mark("c", 3.0)]),
        ({"answer": "c", "answer_start": ""}, [Mark("c")]),
        ({"answer": "c", "start": 3, "end": 4}, [Mark("c", 3, 4)]),
        ({"answers": {"text": "c", "answer_start": [3]}}, [Mark("c", 3)]),
        ({"answers": [{"text": "c", "answer_start": [3, 9]}]}, [Mark("c", 3), Mark("c", 9)]),
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


KNOWN = {
    "answer_text": f'id,question,context,answer_text,answer_start\n1,{WHO},"{CONTEXT}",Ragna Lund,48\n',
    "headers of a spreadsheet": f'ID,Question,Context,Answer,Answer Start\n1,{WHO},"{CONTEXT}",Ragna Lund,48\n',
    "blanks in headers": f'id, question, context, answer, answer_start\n1,{WHO},"{CONTEXT}",Ragna Lund,48\n',
    "flattened": f"id,question,context,answers.text,answers.answer_start\n1,{WHO},\"{CONTEXT}\",['Ragna Lund'],[48]\n",
    "text beside a context": f'id,question,context,text,answer_start\n1,{WHO},"{CONTEXT}",Ragna Lund,48\n',
    "floats": f'id,question,context,answer,answer_start\n1,{WHO},"{CONTEXT}",Ragna Lund,48.0\n',
    "singular": [{"id": "1", "question": WHO, "context": CONTEXT, "answer": "Ragna Lund", "answer_start": 48}],
    "camel case": [{"id": "1", "question": WHO, "context": CONTEXT, "answerText": "Ragna Lund", "answerStart": 48}],
    "bounds of a span": [
        {"id": "1", "question": WHO, "context": CONTEXT, "answer": "Ragna Lund", "span_start": 48, "span_end": 58}
    ],
    "an index": [{"id": "1", "question": WHO, "context": CONTEXT, "answer": "Ragna Lund", "answer_start_idx": 48}],
    "one object": [flat("1", WHO, {"text": "Ragna Lund", "answer_start": 48})],
    "positions, as ThaiQA has them": [
        flat("1", WHO, {"answer": ["Ragna Lund"], "answer_begin_position": [48], "answer_end_position": [58]})
    ],
    "JSON as text": [flat("1", WHO, '{"text": ["Ragna Lund"], "answer_start": [48]}')],
    "Python as text": [flat("1", WHO, "{'text': array(['Ragna Lund'], dtype=object), 'answer_start': array([48])}")],
    "start and end": [{"id": 1, "query": WHO, "passage": CONTEXT, "answer": {"start": 48, "end": 58}}],
    "triples": [{"id": 1, "question": WHO, "text": CONTEXT, "label": [[48, 58, "Answer"]]}],
    "offsets": [{"id": 1, "question": WHO, "text": CONTEXT, "entities": [{"start_offset": 48, "end_offset": 58}]}],
    "annotations": [
        {"id": 1, "question": WHO, "text": CONTEXT, "annotations": [{"start": 48, "end": 58, "text": "Ragna Lund"}]}
    ],
    "both ends": f'id,question,context,answer_start,answer_end\n1,{WHO},"{CONTEXT}",48,58\n',
    "a float start": [flat("1", WHO, {"text": ["Ragna Lund"], "answer_start": [48.0]})],
}


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("policy", ["error", "repair"])
def test_answers_have_many_names_and_layouts(tmp_path, name, policy):
    examples = loaded(tmp_path, KNOWN[name], policy)
    assert references(examples) == {"1": [LUND]}
    assert examples.problems == ()


def test_where_answers_were_found_under_another_name_is_said(tmp_path):
    (note,) = loaded(tmp_path, KNOWN["answer_text"]).notes
    assert note == "answers are read from answer_text and answer_start"
    assert loaded(tmp_path, [flat("1", WHO, [])]).notes == ()


def test_an_argilla_answer_without_a_place_names_its_column_and_is_placed_by_repair(tmp_path):
    answer = [{"user_id": None, "value": "Ragna Lund", "status": "submitted"}]
    rows = [{"id": "1", "question": WHO, "context": CONTEXT, "answer": answer, "answer-suggestion": None}]
    with pytest.raises(ExampleError, match=r"answer without a place: found 'Ragna Lund'(.|\n)*read from answer\)"):
        loaded(tmp_path, rows)
    assert references(loaded(tmp_path, rows, "repair")) == {"1": [LUND]}


@pytest.mark.parametrize("empty", [{}, [], {"text": [], "answer_start": []}, "[]", "{}"])
def test_an_empty_list_or_object_says_that_there_is_no_answer(tmp_path, empty):
    assert references(loaded(tmp_path, [flat("1", WHO, empty)])) == {"1": []}
