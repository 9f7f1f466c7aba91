"""Files of other programs, one small input for each kind of fault that was met, named after its kind."""

import json

import pytest

from qa.data.problems import DataProblem
from qa.errors import DataError, ExampleError
from tests.support.rows import CONTEXT, LUND, METRES, TALL, WHO, load, loaded, references, told, write

TWICE = "Ragna Lund built it. Later Ragna Lund sold it."
BOTH = {"a1": [LUND], "a2": [METRES]}


def qa(example_id, question, *answers, **more):
    listed = [{"text": text, "answer_start": start} for text, start in answers]
    known = {} if example_id is None else {"id": example_id}
    return {**known, "question": question, "answers": listed, **more}


def paragraph(*questions, context=CONTEXT):
    return {"context": context, "qas": list(questions)}


def squad(*paragraphs, **more):
    return {"version": "1", "data": [{"title": "Lighthouses", "paragraphs": list(paragraphs)}], **more}


def flat(example_id, question, answers, context=CONTEXT, **more):
    return {"id": example_id, "question": question, "context": context, "answers": answers, **more}


TWO = (qa("a1", WHO, LUND), qa("a2", TALL, METRES))


def only_problem(examples) -> DataProblem:
    (problem,) = examples.problems
    return problem


# --- is_impossible ---


def test_a_flag_that_is_text_is_named_and_keeps_the_answers_where_repair_is_wanted(tmp_path):
    """`"False"` is true for Python: both answers were dropped without a word."""
    document = squad(paragraph(TWO[0] | {"is_impossible": "False"}, TWO[1] | {"is_impossible": "false"}))
    with pytest.raises(ExampleError, match="is_impossible of wrong type: found 'False'; wanted true or false"):
        loaded(tmp_path, document)
    examples = loaded(tmp_path, document, "repair")
    assert references(examples) == BOTH
    assert told(examples) == [("is_impossible of wrong type", "repaired")] * 2
    with pytest.raises(ExampleError, match="is_impossible of wrong type"):
        loaded(tmp_path, document, "skip")


@pytest.mark.parametrize("flag", ["True", "1", 1, "yes", "true "])
def test_a_flag_in_other_words_is_understood_where_repair_is_wanted(tmp_path, flag):
    rows = [flat("1", WHO, [], is_impossible=flag), flat("2", WHO, [], is_impossible=True)]
    with pytest.raises(ExampleError, match="1 bad examples"):
        loaded(tmp_path, rows, name="rows.jsonl")
    assert references(loaded(tmp_path, rows, "repair", name="rows.jsonl")) == {"1": [], "2": []}


@pytest.mark.parametrize("flag", ["maybe", 2, [True], 0.5])
def test_a_flag_that_says_nothing_costs_the_row_under_every_policy(tmp_path, flag):
    rows = [flat("1", WHO, [], is_impossible=flag), flat("2", WHO, [], is_impossible=True)]
    for policy in ("skip", "repair"):
        assert told(loaded(tmp_path, rows, policy, name="rows.jsonl")) == [("is_impossible of wrong type", "skipped")]


@pytest.mark.parametrize("shape", ["flat", "nested", "csv"])
def test_a_flag_that_contradicts_the_answers_is_a_bad_row_in_every_shape(tmp_path, shape):
    answers = {"text": ["Ragna Lund"], "answer_start": [48]}
    contents = {
        "flat": [flat("1", WHO, answers, is_impossible=True), flat("2", WHO, answers, is_impossible=False)],
        "nested": squad(paragraph(qa("1", WHO, LUND, is_impossible=True), qa("2", WHO, LUND, is_impossible=False))),
        "csv": "id,question,context,answer,answer_start,is_impossible\n"
        f'1,{WHO},"{CONTEXT}",Ragna Lund,48,True\n2,{WHO},"{CONTEXT}",Ragna Lund,48,False\n',
    }
    for policy, wanted in (("skip", {"2": [LUND]}), ("repair", {"1": [], "2": [LUND]})):
        examples = loaded(tmp_path, contents[shape], policy)
        assert references(examples) == wanted
        assert only_problem(examples).kind == "is_impossible contradicts the answers"
    with pytest.raises(ExampleError, match=r"found True and the answers \['Ragna Lund'\]"):
        loaded(tmp_path, contents[shape])


def test_an_answerable_question_without_answers_is_a_contradiction_too(tmp_path):
    rows = [flat("1", WHO, [], is_impossible=False), flat("2", WHO, [])]
    with pytest.raises(ExampleError, match=r"1 bad examples:\n  row 0, id '1': is_impossible contradicts"):
        loaded(tmp_path, rows)
    assert references(loaded(tmp_path, rows, "repair")) == {"1": [], "2": []}


def test_a_flag_alone_says_that_there_is_no_answer(tmp_path):
    rows = [{"id": "1", "question": WHO, "context": CONTEXT, "is_impossible": True}, flat("2", WHO, [])]
    assert references(loaded(tmp_path, rows)) == {"1": [], "2": []}


def test_a_blank_answer_of_an_impossible_question_is_no_contradiction(tmp_path):
    blank = [{"text": "", "answer_start": -1}]
    assert references(loaded(tmp_path, [flat("1", WHO, blank, is_impossible=True)])) == {"1": []}


# --- nesting ---


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


# --- ids ---


@pytest.mark.parametrize("policy", ["error", "skip", "repair"])
@pytest.mark.parametrize("shape", ["nested", "flat", "blank"])
def test_ids_are_made_where_no_row_has_one_and_that_is_said(tmp_path, shape, policy):
    questions = (qa(None, WHO, LUND), qa(None, TALL, METRES))
    rows = [{**question, "context": CONTEXT} for question in questions]
    content = {"nested": squad(paragraph(*questions)), "flat": rows, "blank": [row | {"id": " "} for row in rows]}[
        shape
    ]
    examples = loaded(tmp_path, content, policy)
    assert list(references(examples).values()) == [[LUND], [METRES]]
    assert len(set(examples.rows["id"])) == 2
    assert examples.problems == ()
    assert examples.notes == ("2 rows have no id: theirs are hashes of question and context",)
    other = loaded(tmp_path, [rows[1], rows[0]], policy)
    assert other.rows["id"][:] == examples.rows["id"][:][::-1]


def test_made_ids_differ_where_question_and_context_are_the_same(tmp_path):
    rows = [{"question": WHO, "context": CONTEXT, "answers": []}] * 3
    ids = loaded(tmp_path, rows).rows["id"][:]
    assert [example_id[24:] for example_id in ids] == ["", "-2", "-3"]


@pytest.mark.parametrize("name", ["qid", "question_id", "query_id", "Question ID", "questionId", "_id"])
def test_an_id_has_many_names(tmp_path, name):
    assert list(references(loaded(tmp_path, [{name: "x7", "question": WHO, "context": CONTEXT, "answers": []}]))) == [
        "x7"
    ]


def test_a_second_row_of_an_id_gets_a_suffix_where_repair_is_wanted(tmp_path):
    document = squad(paragraph(TWO[0], TWO[1] | {"id": "a1"}, qa("a1-2", WHO, LUND)))
    examples = loaded(tmp_path, document, "repair")
    assert references(examples) == {"a1": [LUND], "a1-2": [METRES], "a1-2-2": [LUND]}
    assert [(problem.kind, problem.done) for problem in examples.problems] == [
        ("duplicate id", "now 'a1-2'"),
        ("duplicate id", "now 'a1-2-2'"),
    ]
    assert told(loaded(tmp_path, document, "skip")) == [("duplicate id", "skipped")]


def test_a_row_without_an_id_beside_others_is_bad_or_gets_one(tmp_path):
    rows = [flat("a1", WHO, []), {"question": TALL, "context": CONTEXT, "answers": []}]
    with pytest.raises(ExampleError, match="row 1, id '': no id: found none; wanted an id, as other rows have"):
        loaded(tmp_path, rows)
    assert list(references(loaded(tmp_path, rows, "skip"))) == ["a1"]
    repaired = loaded(tmp_path, rows, "repair")
    assert len(repaired) == 2
    assert told(repaired) == [("no id", "repaired")]


# --- answers under other names and in other layouts ---

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
    "JSON as text": [flat("1", WHO, '{"text": ["Ragna Lund"], "answer_start": [48]}')],
    "Python as text": [flat("1", WHO, "{'text': array(['Ragna Lund'], dtype=object), 'answer_start': array([48])}")],
    "start and end": [{"id": 1, "query": WHO, "passage": CONTEXT, "answer": {"start": 48, "end": 58}}],
    "triples": [{"id": 1, "question": WHO, "text": CONTEXT, "label": [[48, 58, "Answer"]]}],
    "offsets": [{"id": 1, "question": WHO, "text": CONTEXT, "entities": [{"start_offset": 48, "end_offset": 58}]}],
    "annotations": [
        {"id": 1, "question": WHO, "text": CONTEXT, "annotations": [{"start": 48, "end": 58, "text": "Ragna Lund"}]}
    ],
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


@pytest.mark.parametrize("column", ["my_answer", "label", "span_labels", "annotation", "Gold Response"])
def test_a_column_that_looks_like_labels_and_is_not_read_is_named(tmp_path, column):
    examples = loaded(tmp_path, [{"id": "1", "question": WHO, "context": CONTEXT, column: "ORG", "year": 1}])
    assert not examples.has_references
    (note,) = examples.notes
    assert column in note
    assert "year" not in note


def test_an_argilla_answer_without_a_place_names_its_column_and_is_placed_by_repair(tmp_path):
    answer = [{"user_id": None, "value": "Ragna Lund", "status": "submitted"}]
    rows = [{"id": "1", "question": WHO, "context": CONTEXT, "answer": answer, "answer-suggestion": None}]
    with pytest.raises(ExampleError, match=r"answer without a place: found 'Ragna Lund'(.|\n)*read from answer\)"):
        loaded(tmp_path, rows)
    assert references(loaded(tmp_path, rows, "repair")) == {"1": [LUND]}


def test_a_cell_that_is_neither_json_nor_python_says_so(tmp_path):
    content = f"""id,question,context,answers\n1,{WHO},"{CONTEXT}","{{'text': ['Ragna"\n"""
    with pytest.raises(ExampleError, match=r"answers of wrong type.* neither JSON nor a Python literal"):
        loaded(tmp_path, content)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("first", ["", "sep={}\n"])
def test_what_separates_the_cells_of_a_table_is_found(tmp_path, separator, first):
    header = separator.join(("id", "question", "context", "answer", "answer_start"))
    cells = separator.join(("1", WHO, f'"{CONTEXT}"', "Ragna Lund", "48"))
    content = f"{first.format(separator)}{header}\n{cells}\n"
    assert references(loaded(tmp_path, content)) == {"1": [LUND]}


# --- places ---


def test_a_spreadsheets_answers_are_placed_and_its_rows_get_ids(tmp_path):
    content = f'question,context,answer\n{WHO},"{CONTEXT}",Ragna Lund\n{TALL},"{CONTEXT}",34 metres\n'
    examples = loaded(tmp_path, content, "repair")
    assert list(references(examples).values()) == [[LUND], [METRES]]
    assert [problem.done for problem in examples.problems] == [
        "placed at character 48, 1 of 1 places",
        "placed at character 66, 1 of 1 places",
    ]
    with pytest.raises(ExampleError, match="answer without a place: found 'Ragna Lund'; wanted answer_start"):
        loaded(tmp_path, content)


@pytest.mark.parametrize("start", [-1, -1.0, -7, None, float("nan")])
def test_minus_one_is_no_place_and_an_answer_in_two_is_listed_for_a_decision(tmp_path, start):
    rows = [flat("1", WHO, {"text": ["Ragna Lund"], "answer_start": [start]}, TWICE), flat("2", WHO, [])]
    examples = loaded(tmp_path, rows, "repair")
    assert list(references(examples)) == ["2"]
    problem = only_problem(examples)
    assert problem.action == "skipped"
    assert "in 2 places: 0, 27" in problem.found
    assert problem.wanted == "answer_start, to decide between them"


def test_a_stated_start_chooses_among_places_and_the_record_says_of_how_many(tmp_path):
    rows = [flat("1", WHO, {"text": ["Ragna Lund"], "answer_start": [25]}, TWICE)]
    examples = loaded(tmp_path, rows, "repair")
    assert references(examples) == {"1": [("Ragna Lund", 27)]}
    assert only_problem(examples).done == "placed at character 27, 2 of 2 places"


def test_a_whole_float_is_a_place(tmp_path):
    rows = [flat("1", WHO, {"text": ["Ragna Lund"], "answer_start": [27.0]}, TWICE)]
    for policy in ("error", "repair"):
        examples = loaded(tmp_path, rows, policy)
        assert references(examples) == {"1": [("Ragna Lund", 27)]}
        assert examples.problems == ()


@pytest.mark.parametrize(
    ("text", "start", "wanted"),
    [
        ("Procedure Insert the metal plate", -1, ("Procedure\nInsert the metal plate", 0)),
        ("ragna lund", 56, ("Ragna Lund", 56)),
        ("RAGNA  LUND", 0, ("Ragna Lund", 56)),
        (" Ragna Lund ", 55, ("Ragna Lund", 56)),
        ("wall.Call", -1, ("wall. Call", 45)),
    ],
)
def test_an_answer_that_differs_in_case_or_white_space_becomes_the_contexts(tmp_path, text, start, wanted):
    context = "Procedure\nInsert the metal plate\nbehind the  wall. Call Ragna Lund."
    assert context[wanted[1] :].startswith(wanted[0])
    rows = [flat("1", WHO, {"text": [text], "answer_start": [start]}, context)]
    assert references(loaded(tmp_path, rows, "repair")) == {"1": [wanted]}
    with pytest.raises(ExampleError):
        loaded(tmp_path, rows)


def test_a_blank_after_the_contexts_end_is_stripped(tmp_path):
    context = CONTEXT[: CONTEXT.index(".")]
    rows = [flat("1", WHO, {"text": ["Ragna Lund "], "answer_start": [48]}, context)]
    assert references(loaded(tmp_path, rows, "repair")) == {"1": [LUND]}


# --- answers that stand for none ---


@pytest.mark.parametrize(
    "sentinel",
    [
        [{"text": "", "answer_start": 0, "answer_end": 0, "answer_category": "NOT_GIVEN"}],
        [{"text": "", "answer_start": 2280, "answer_category": None}],
        [{"text": "", "answer_start": -1}],
        [{"text": "NOT_GIVEN", "answer_start": 0}],
        [{"text": None, "answer_start": None}],
        {"text": [""], "answer_start": [0]},
        {"text": [None], "answer_start": [-1]},
        [None],
        "",
        None,
    ],
)
@pytest.mark.parametrize("flag", [{}, {"is_impossible": False}])
def test_an_answer_that_stands_for_none_means_impossible_where_repair_is_wanted(tmp_path, sentinel, flag):
    rows = [flat("a1", WHO, [{"text": LUND[0], "answer_start": 48}]), flat(2, "Who painted it?", sentinel, **flag)]
    examples = loaded(tmp_path, rows, "repair")
    assert references(examples) == {"a1": [LUND], "2": []}
    assert only_problem(examples).action == "repaired"
    assert "impossible" in only_problem(examples).done
    with pytest.raises(ExampleError, match="1 bad examples"):
        loaded(tmp_path, rows)


def test_a_blank_answer_beside_others_is_left_out(tmp_path):
    rows = [flat("1", WHO, {"text": ["", "Ragna Lund"], "answer_start": [0, 48]})]
    examples = loaded(tmp_path, rows, "repair")
    assert references(examples) == {"1": [LUND]}
    assert only_problem(examples).done == "left out: it stands for no answer"


def test_a_word_for_none_that_the_context_holds_is_an_answer(tmp_path):
    rows = [flat("1", WHO, {"text": ["None"], "answer_start": [0]}, "None was built.")]
    assert references(loaded(tmp_path, rows)) == {"1": [("None", 0)]}


def test_no_annotation_at_all_is_not_the_same_as_no_answer(tmp_path):
    """Under repair too: what nobody has answered teaches nothing."""
    rows = [flat("1", WHO, []), {"id": "2", "question": TALL, "context": CONTEXT}]
    examples = loaded(tmp_path, rows, "repair")
    assert list(references(examples)) == ["1"]
    assert told(examples) == [("no answers", "skipped")]


@pytest.mark.parametrize("empty", [{}, [], {"text": [], "answer_start": []}, "[]", "{}"])
def test_an_empty_list_or_object_says_that_there_is_no_answer(tmp_path, empty):
    assert references(loaded(tmp_path, [flat("1", WHO, empty)])) == {"1": []}


# --- folders ---


def test_what_cannot_be_data_is_no_candidate_for_a_split(tmp_path):
    write(tmp_path / "train.jsonl", [flat("1", WHO, [])])
    for name in ("train.jsonl.bak", "train_README.md", "train.jsonl~", "train.log", "train.lock", ".train.json.swp"):
        write(tmp_path / name, "an older copy")
    write(tmp_path / "train_notes.txt", "Two questions about a lighthouse.")
    assert len(load(tmp_path)) == 1


@pytest.mark.parametrize(
    "names",
    [
        ("Lights_v1.0_train.jsonl", "Lights_v1.0_dev.jsonl"),
        ("KorQuAD_v1.0_train.json", "KorQuAD_v1.0_dev.json"),
        ("GermanQuAD_train.json", "GermanQuAD_validation.json"),
        ("SQuAD_it-train.json.gz", "SQuAD_it-dev.json.gz"),
        ("cmrc2018_train.json", "cmrc2018_dev.json"),
        ("DRCD_training.json", "DRCD_dev.json"),
        ("squadTrain.json", "squadDev.json"),
        ("squad-train-v1.1.json", "squad-dev-v1.1.json"),
        ("TRAIN.CSV", "VALID.CSV"),
        ("train", "dev"),
        ("data/train-00000-of-00001.jsonl", "data/validation-00000-of-00001.jsonl"),
        ("plain_text/train.jsonl", "plain_text/dev.jsonl"),
        ("train/part-0.jsonl", "validation/part-0.jsonl"),
    ],
)
def test_a_name_that_holds_the_split_as_a_word_is_found(tmp_path, names):
    for name, example_id in zip(names, ("1", "2"), strict=True):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        content = f'id,question,context,is_impossible\n{example_id},{WHO},"{CONTEXT}",True\n'
        write(path, content if path.suffix == ".CSV" else json.dumps(flat(example_id, WHO, [])) + "\n")
    assert list(references(load(tmp_path, split="train"))) == ["1"]
    assert list(references(load(tmp_path, split="validation"))) == ["2"]
