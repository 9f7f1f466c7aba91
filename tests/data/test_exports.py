"""Exports of annotation tools and published data sets, in their true shape, each cut down to a question or two."""

import json

import datasets
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from qa.errors import ExampleError
from tests.support.rows import CONTEXT, LUND, METRES, TALL, WHO, load, loaded, references, told, write

NOBODY = "Who painted the door?"


# --- annotation tools ---


def label_studio_task(number, question, *spans, cancelled=False, **data):
    result = [
        {
            "value": {"start": start, "end": start + len(text), "text": text, "labels": ["Answer"]},
            "id": f"r{at}",
            "from_name": "answer",
            "to_name": "text",
            "type": "labels",
            "origin": "manual",
        }
        for at, (text, start) in enumerate(spans)
    ]
    annotation = {
        "id": 7,
        "completed_by": 1,
        "result": result,
        "was_cancelled": cancelled,
        "ground_truth": False,
        "lead_time": 8.65,
        "prediction": {},
        "task": number,
    }
    return {
        "id": number,
        "annotations": [annotation],
        "file_upload": "tasks.json",
        "drafts": [],
        "predictions": [{"result": [{"value": {"start": 0, "end": 3, "text": "The"}}]}],
        "data": {"text": CONTEXT, "question": question, **data},
        "meta": {},
        "inner_id": 1,
        "total_annotations": 1,
        "project": 29,
    }


def test_label_studio_json(tmp_path):
    """An empty result says that there is no answer; a cancelled annotation says nothing."""
    tasks = [
        label_studio_task(1, WHO, LUND),
        label_studio_task(2, TALL, METRES, ("34", 66)),
        label_studio_task(3, NOBODY),
        label_studio_task(4, "When?", ("1871", 40), cancelled=True),
        label_studio_task(5, "Where?", ("Skarholm", 18), id="own-id"),
        label_studio_task(6, "When?") | {"annotations": []},
    ]
    wanted = {"1": [LUND], "2": [METRES, ("34", 66)], "3": [], "own-id": [("Skarholm", 18)]}
    for policy in ("skip", "repair"):
        examples = loaded(tmp_path, tasks, policy)
        assert references(examples) == wanted
        assert told(examples) == [("no answers", "skipped")] * 2
    assert set(examples.rows["context"][:]) == {CONTEXT}


def test_label_studio_with_typed_answers_and_other_controls(tmp_path):
    task = label_studio_task(1, WHO)
    task["annotations"][0]["result"] = [
        {"value": {"text": ["Ragna Lund"]}, "from_name": "answer", "to_name": "text", "type": "textarea"},
        {"value": {"choices": ["easy"]}, "from_name": "difficulty", "to_name": "text", "type": "choices"},
        {
            "value": {
                "start": "/div[1]",
                "end": "/div[2]",
                "globalOffsets": {"start": 66, "end": 75},
                "text": "34 metres",
            },
            "from_name": "span",
            "to_name": "html",
            "type": "hypertextlabels",
        },
        {"from_id": "a", "to_id": "b", "type": "relation", "direction": "right", "labels": []},
    ]
    assert references(loaded(tmp_path, [task], "repair")) == {"1": [LUND, METRES]}


def test_label_studio_json_min_and_csv(tmp_path):
    spans = [{"start": 48, "end": 58, "text": "Ragna Lund", "labels": ["Answer"]}]
    row = {
        "id": 1,
        "text": CONTEXT,
        "question": WHO,
        "label": spans,
        "annotator": 1,
        "annotation_id": 2,
        "lead_time": 1.2,
    }
    assert references(loaded(tmp_path, [row])) == {"1": [LUND]}
    frame = pd.DataFrame([row | {"label": json.dumps(spans)}])
    for separator in (",", "\t"):
        content = frame.to_csv(index=False, sep=separator)
        assert references(loaded(tmp_path, content, name="project.csv")) == {"1": [LUND]}


def test_label_studio_counts_emoji_twice_and_repair_takes_the_place_that_it_means(tmp_path):
    """HumanSignal/label-studio#1347: characters beyond U+FFFF are two for a browser."""
    text = "💩💩💩💩💩💩 Lund Lund Lund"
    start = text.index("Lund", 13)
    spans = [{"start": start + 6, "end": start + 10, "text": "Lund", "labels": ["Answer"]}]
    rows = [{"id": 1, "text": text, "question": WHO, "label": spans}]
    assert references(loaded(tmp_path, rows, "repair")) == {"1": [("Lund", start)]}


@pytest.mark.parametrize("key", ["label", "labels", "entities"])
def test_doccano_json_lines(tmp_path, key):
    """Other columns of the upload, such as the question, come out as they went in."""
    rows = [
        {"id": 15, "text": CONTEXT, "question": WHO, "Comments": [], key: [[48, 58, "Answer"]]},
        {"id": 16, "text": CONTEXT, "question": NOBODY, "Comments": [], key: []},
    ]
    assert references(loaded(tmp_path, rows, name="all.jsonl")) == {"15": [LUND], "16": []}


def test_doccano_with_relations_and_before_version_1(tmp_path):
    entity = {"id": 1662, "label": "Answer", "start_offset": 48, "end_offset": 58}
    relations = [{"id": 6400, "text": CONTEXT, "question": WHO, "Comments": [], "entities": [entity], "relations": []}]
    assert references(loaded(tmp_path, relations, name="all.jsonl")) == {"6400": [LUND]}
    annotation = {"label": 7, "start_offset": 48, "end_offset": 58, "user": 1}
    old = [{"id": 15, "text": CONTEXT, "question": WHO, "annotations": [annotation], "meta": {}}]
    assert references(loaded(tmp_path, old, name="old.jsonl")) == {"15": [LUND]}


def argilla_record(example_id, question, *values):
    responses = [{"value": value, "user_id": "0c6a"} for value in values]
    return {
        "id": example_id,
        "fields": {"question": question, "context": CONTEXT},
        "metadata": {"source": "x"},
        "suggestions": {"answer": {"value": "Skarholm", "score": 0.3, "agent": "a-model"}},
        "responses": {"answer": responses, "difficulty": [{"value": "easy", "user_id": "0c6a"}]},
        "vectors": {},
        "_server_id": "f1",
    }


def test_argilla_json_with_spans_and_with_texts(tmp_path):
    spans = [argilla_record("a1", WHO, [{"label": "Answer", "start": 48, "end": 58}]), argilla_record("a2", NOBODY, [])]
    assert references(loaded(tmp_path, spans)) == {"a1": [LUND], "a2": []}
    texts = [argilla_record("a1", WHO, "Ragna Lund", "Lund"), argilla_record("a2", TALL, "34 metres")]
    assert references(loaded(tmp_path, texts, "repair")) == {"a1": [LUND, ("Lund", 54)], "a2": [METRES]}


def test_argilla_on_the_hub_and_version_1(tmp_path):
    known = {"id": "a1", "question": WHO, "context": CONTEXT}
    span = {"label": "Answer", "start": 48, "end": 58}
    responses = {
        "answer.responses": [[span | {"start": 0}], [span]],
        "answer.responses.users": ["0c6a", "1d7b"],
        "answer.responses.status": ["discarded", "submitted"],
        "answer.suggestion": None,
    }
    pq.write_table(pa.Table.from_pylist([known | responses]), tmp_path / "records.parquet")
    assert references(load(tmp_path / "records.parquet")) == {"a1": [LUND]}
    answers = [{"value": "wrong", "status": "discarded"}, {"value": "Ragna Lund", "status": "submitted"}]
    old = known | {"answer": answers, "answer-suggestion": None, "external_id": None}
    assert references(loaded(tmp_path, [old], "repair")) == {"a1": [LUND]}


SPAN = {"label": "Answer", "start": 48, "end": 58}


def unannotated_argilla():
    """Records of version 2 and 1 that nobody has annotated, or whose annotations do not count."""
    for status in ("discarded", "draft", "pending"):
        yield argilla_record("x", TALL) | {"responses": {"answer": [{"value": [SPAN], "status": status}]}}
        yield argilla_record("x", TALL) | {"responses": [{"values": {"answer": {"value": "34"}}, "status": status}]}
        yield argilla_record("x", TALL) | {"responses": [{"values": None, "status": status}]}
    yield from (argilla_record("x", TALL) | {"responses": empty} for empty in ([], None, {}, {"answer": []}))


def unannotated_columns():
    known = {"id": "x", "question": TALL, "context": CONTEXT}
    for responses, statuses in (([[SPAN]], ["discarded"]), ([[SPAN], []], ["draft", "pending"]), (None, None)):
        yield known | {"answer.responses": responses, "answer.responses.status": statuses}
    yield known | {"answer": [{"value": "34", "status": "discarded"}]}
    yield known | {"annotations": [{"result": [], "was_cancelled": True}]}


@pytest.mark.parametrize("bad", [*unannotated_argilla(), *unannotated_columns()])
def test_what_nobody_has_annotated_or_what_was_rejected_is_no_impossible_example(tmp_path, bad):
    rows = [argilla_record("a1", WHO, [SPAN]), argilla_record("a2", NOBODY, []), bad]
    with pytest.raises(ExampleError, match="1 bad examples:\n  row 2, id 'x': no answers"):
        loaded(tmp_path, rows)
    for policy in ("skip", "repair"):
        examples = loaded(tmp_path, rows, policy)
        assert references(examples) == {"a1": [LUND], "a2": []}
        assert told(examples) == [("no answers", "skipped")]


def test_a_rejected_annotation_beside_one_that_counts_is_passed_over(tmp_path):
    responses = [{"value": [SPAN], "status": "discarded"}, {"value": [], "status": "submitted"}]
    record = argilla_record("a1", NOBODY) | {"responses": {"answer": responses}}
    assert references(loaded(tmp_path, [record])) == {"a1": []}


def haystack_answer(text, start, category=None):
    return {
        "answer_id": 5,
        "document_id": 3,
        "question_id": 4,
        "text": text,
        "answer_start": start,
        "answer_end": start + len(text),
        "answer_category": category,
    }


def test_haystacks_annotation_tool(tmp_path):
    """deepset-ai/haystack#1001: no answer is an empty text at any place."""
    questions = [
        {"id": 1, "question": WHO, "answers": [haystack_answer(*LUND)], "is_impossible": False},
        {"id": 2, "question": NOBODY, "answers": [haystack_answer("", 2280, "NOT_GIVEN")], "is_impossible": False},
    ]
    document = {"data": [{"paragraphs": [{"qas": questions, "context": CONTEXT, "document_id": 3}]}]}
    examples = loaded(tmp_path, document, "repair")
    assert references(examples) == {"1": [LUND], "2": []}
    assert told(examples) == [("answer text blank", "repaired")]


def test_haystacks_tables(tmp_path):
    """deepset-ai/haystack#2651: the tool writes `text`, the library `answer_text`; no answer is an empty cell."""
    tool = f'document_id,question,context,text,answer_start,answer_end\n3,{WHO},"{CONTEXT}",Ragna Lund,48,58\n'
    assert list(references(loaded(tmp_path, tool)).values()) == [[LUND]]
    frame = pd.DataFrame(
        [
            {
                "title": "L",
                "context": CONTEXT,
                "question": WHO,
                "id": "1",
                "answer_text": "Ragna Lund",
                "answer_start": 48,
            },
            {"title": "L", "context": CONTEXT, "question": NOBODY, "id": "2", "answer_text": "", "answer_start": None},
        ]
    ).assign(is_impossible=[False, True], document_id="3")
    examples = loaded(tmp_path, frame.to_csv())
    assert references(examples) == {"1": [LUND], "2": []}


def prodigy_task(question, verdict="accept", **more):
    return {
        "text": CONTEXT,
        "question": question,
        "_input_hash": 885944384,
        "_task_hash": -1665691389,
        "_is_binary": False,
        "_view_id": "spans_manual",
        "answer": verdict,
        "_timestamp": 1644251532,
        "tokens": [{"text": "The", "start": 0, "end": 3, "id": 0, "ws": True}],
        **more,
    }


def test_prodigy_json_lines(tmp_path):
    """`answer` is the annotator's verdict, not an answer; what was not accepted is not annotated."""
    span = {"start": 48, "end": 58, "token_start": 8, "token_end": 9, "label": "ANSWER"}
    rows = [
        prodigy_task(WHO, spans=[span], id="p1"),
        prodigy_task(NOBODY, spans=[], id="p2"),
        prodigy_task(TALL, "reject", spans=[span], id="p3"),
        prodigy_task(TALL, "ignore", id="p4"),
    ]
    for policy in ("skip", "repair"):
        examples = loaded(tmp_path, rows, policy, name="annotations.jsonl")
        assert references(examples) == {"p1": [LUND], "p2": []}
        assert told(examples) == [("no answers", "skipped")] * 2
    del rows[0]["id"]
    assert list(references(loaded(tmp_path, rows[:1], name="annotations.jsonl"))) == ["-1665691389"]


def test_potatos_answer_span(tmp_path):
    answered = {"answer_text": "Ragna Lund", "start": 48, "end": 58, "unanswerable": False}
    nothing = {"answer_text": "", "start": -1, "end": -1, "unanswerable": True}
    rows = [
        {"id": str(at), "question": question, "passage": CONTEXT, "answer_span": span}
        for at, (question, span) in enumerate([(WHO, answered), (NOBODY, nothing)])
    ]
    assert references(loaded(tmp_path, rows)) == {"0": [LUND], "1": []}


# --- published sets ---


def mrqa_lines(*detected, answers=("Ragna Lund",)):
    question = {
        "qid": "m0",
        "question": WHO,
        "id": "",
        "question_tokens": [["Who", 0]],
        "answers": list(answers),
        "detected_answers": [
            {"text": text, "char_spans": [list(span) for span in spans], "token_spans": [[8, 9]]}
            for text, spans in detected
        ],
    }
    header = {"header": {"dataset": "Lights", "split": "train"}}
    return [header, {"id": "", "context": CONTEXT, "context_tokens": [["The", 0]], "qas": [question]}]


@pytest.mark.parametrize("name", ["Lights.jsonl", "Lights.jsonl.gz"])
def test_mrqas_spans_hold_their_last_character(tmp_path, name):
    examples = loaded(tmp_path, mrqa_lines(("Ragna Lund", [(48, 57)])), name=name)
    assert references(examples) == {"m0": [LUND]}
    assert examples.problems == ()


def test_mrqas_answers_that_the_context_lacks_count_for_scores(tmp_path):
    """mrqa/MRQA-Shared-Task-2019#11: accepted answers need not occur, detected ones may be spelled otherwise."""
    rows = mrqa_lines(("ragna-lund", [(48, 57)]), answers=["ragna-lund", "Lund, Ragna"])
    examples = loaded(tmp_path, rows, name="a.jsonl")
    assert references(examples) == {"m0": [LUND, ("ragna-lund", -1), ("Lund, Ragna", -1)]}
    assert told(examples) == [("answer spelled otherwise than in the context", "kept")]


def test_mrqas_several_detected_spans(tmp_path):
    rows = mrqa_lines(("Ragna Lund", [(48, 57)]), ("Lund", [(54, 57)]), answers=["Ragna Lund", "Lund"])
    assert references(loaded(tmp_path, rows, name="a.jsonl")) == {"m0": [LUND, ("Lund", 54)]}


def test_mrqa_on_the_hub(tmp_path):
    row = {
        "subset": "Lights",
        "context": CONTEXT,
        "context_tokens": {"tokens": ["The"], "offsets": [0]},
        "qid": "m0",
        "question": WHO,
        "question_tokens": {"tokens": ["Who"], "offsets": [0]},
        "detected_answers": {
            "text": ["Ragna Lund"],
            "char_spans": [{"start": [48], "end": [57]}],
            "token_spans": [{"start": [8], "end": [9]}],
        },
        "answers": ["Ragna Lund"],
    }
    path = tmp_path / "mrqa.parquet"
    pq.write_table(pa.Table.from_pylist([row]), path)
    assert references(load(path)) == {"m0": [LUND]}


def test_korquad_2_has_one_answer_and_no_paragraphs(tmp_path):
    answer = {"text": "Ragna Lund", "answer_start": 48, "html_answer_text": "Ragna Lund", "html_answer_start": 60}
    article = {"title": "L", "url": "u", "raw_html": f"<p>{CONTEXT}</p>", "context": CONTEXT}
    document = {
        "version": "KorQuAD_2.0_train",
        "data": [article | {"qas": [{"question": WHO, "id": "k1", "answer": answer}]}],
    }
    assert references(loaded(tmp_path, document)) == {"k1": [LUND]}


def test_cmrc_2018_as_published_and_as_squad(tmp_path):
    """As published answers have no places; in the other file some have -1 and some are not in the context."""
    text = "灯塔由拉格纳·伦德于1871年建成，高34米。"
    own = [
        {
            "context_id": "DEV_0",
            "context_text": text,
            "title": "灯塔",
            "qas": [{"query_id": "DEV_0_QUERY_0", "query_text": "谁?", "answers": ["拉格纳·伦德", "伦德"]}],
        }
    ]
    wanted = [("拉格纳·伦德", 3), ("伦德", 7)]
    assert references(loaded(tmp_path, own, "repair")) == {"DEV_0_QUERY_0": wanted}
    answers = [{"text": "拉格纳·伦德", "answer_start": 3}, {"text": "伦德女士", "answer_start": -1}]
    questions = [{"question": "谁?", "id": "DEV_0_QUERY_0", "answers": answers}]
    squad = {
        "version": "v1.0",
        "data": [{"title": "灯塔", "paragraphs": [{"id": "DEV_0", "context": text, "qas": questions}]}],
    }
    found = references(loaded(tmp_path, squad, purpose="texts"))
    assert found == {"DEV_0_QUERY_0": [("拉格纳·伦德", 3), ("伦德女士", -1)]}


def test_drop_with_one_span_and_without(tmp_path):
    def answer(*spans, number=""):
        return {"number": number, "date": {"day": "", "month": "", "year": ""}, "spans": list(spans)}

    pairs = [
        {"question": WHO, "answer": answer("Ragna Lund"), "query_id": "d1", "validated_answers": []},
        {"question": "How many?", "answer": answer(number="2"), "query_id": "d2", "validated_answers": []},
        {"question": "Which?", "answer": answer("1871", "34 metres"), "query_id": "d3"},
    ]
    document = {"nfl_1184": {"passage": CONTEXT, "qa_pairs": pairs, "wiki_url": ""}}
    examples = loaded(tmp_path, document, "repair")
    assert references(examples) == {"d1": [LUND]}
    assert told(examples)[1:] == [("answer of several parts", "skipped")] * 2


def test_newsqa_json(tmp_path):
    questions = [
        {
            "q": WHO,
            "consensus": {"s": 48, "e": 58},
            "isAnswerAbsent": 0.25,
            "answers": [{"sourcerAnswers": [{"s": 1, "e": 2}]}],
        },
        {"q": NOBODY, "consensus": {"noAnswer": True}, "isAnswerAbsent": 1.0, "answers": []},
        {"q": "?!", "consensus": {"badQuestion": True}, "answers": []},
    ]
    document = {
        "data": [{"storyId": "./contoso/stories/2e1d4", "text": CONTEXT, "type": "train", "questions": questions}],
        "version": "1",
    }
    examples = loaded(tmp_path, document, "skip")
    assert list(references(examples).values()) == [[LUND], []]
    assert told(examples) == [("answers of wrong type", "skipped")]


def test_cuads_several_places_of_one_answer(tmp_path):
    question = {
        "id": "c__Parties",
        "question": "Parties?",
        "is_impossible": False,
        "answers": [{"text": "Ragna Lund", "answer_start": 48}, {"text": "lighthouse", "answer_start": 4}],
    }
    document = {
        "version": "aok_v1.0",
        "data": [{"title": "c", "paragraphs": [{"context": CONTEXT, "qas": [question]}]}],
    }
    assert references(loaded(tmp_path, document)) == {"c__Parties": [LUND, ("lighthouse", 4)]}


def test_subjqa_and_adversarial_extras_beside_the_answers(tmp_path):
    rows = [
        {
            "id": "s",
            "question": WHO,
            "context": CONTEXT,
            "title": "t",
            "domain": "x",
            "question_subj_level": 1,
            "answers": {
                "text": ["Ragna Lund"],
                "answer_start": [48],
                "answer_subj_level": [2],
                "ans_subj_score": [0.0],
            },
        }
    ]
    assert references(loaded(tmp_path, rows)) == {"s": [LUND]}


# --- pandas and datasets ---

ROWS = [
    {
        "id": "a1",
        "title": "L",
        "context": CONTEXT,
        "question": WHO,
        "answers": {"text": ["Ragna Lund"], "answer_start": [48]},
    },
    {
        "id": "a2",
        "title": "L",
        "context": CONTEXT,
        "question": TALL,
        "answers": {"text": ["34 metres", "34"], "answer_start": [66, 66]},
    },
    {
        "id": "a3",
        "title": "L",
        "context": 'a "b";\r\nc',
        "question": NOBODY,
        "answers": {"text": [], "answer_start": []},
    },
]
WANTED = {"a1": [LUND], "a2": [METRES, ("34", 66)], "a3": []}


@pytest.mark.parametrize("orient", ["records", "columns", "index", "split", "table"])
def test_pandas_to_json(tmp_path, orient):
    examples = loaded(tmp_path, pd.DataFrame(ROWS).to_json(orient=orient))
    assert references(examples) == WANTED
    assert examples.rows["context"][2] == ROWS[2]["context"]


def test_pandas_to_json_lines(tmp_path):
    assert references(loaded(tmp_path, pd.DataFrame(ROWS).to_json(orient="records", lines=True))) == WANTED


@pytest.mark.parametrize("index", [False, True])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_pandas_to_csv_of_dicts(tmp_path, index, separator):
    content = pd.DataFrame(ROWS).to_csv(index=index, sep=separator)
    examples = loaded(tmp_path, content)
    assert references(examples) == WANTED
    assert examples.rows["context"][2] == ROWS[2]["context"]


def test_csv_of_a_data_set_with_arrays(tmp_path):
    """`dataset.to_pandas().to_csv()` prints NumPy arrays, in which no commas stand."""
    frame = datasets.Dataset.from_list(ROWS).to_pandas()
    assert "array(" in frame.to_csv()
    assert references(loaded(tmp_path, frame.to_csv(index=False))) == WANTED
    flat = datasets.Dataset.from_list(ROWS).flatten().to_pandas()
    assert "['34 metres' '34']" in flat.to_csv()
    assert references(loaded(tmp_path, flat.to_csv(index=False))) == WANTED


def test_csv_and_json_of_datasets(tmp_path):
    dataset = datasets.Dataset.from_list(ROWS)
    dataset.to_csv(tmp_path / "a.csv")
    dataset.to_json(tmp_path / "a.jsonl")
    dataset.to_json(tmp_path / "a.json", lines=False)
    dataset.to_parquet(tmp_path / "a.parquet")
    for name in ("a.csv", "a.jsonl", "a.json", "a.parquet"):
        assert references(load(tmp_path / name)) == WANTED, name
    assert references(loaded(tmp_path, dataset.to_dict())) == WANTED


def test_the_hubs_viewer(tmp_path):
    rows = [{"row_idx": at, "row": row, "truncated_cells": []} for at, row in enumerate(ROWS)]
    assert references(loaded(tmp_path, {"features": [], "rows": rows, "num_rows_total": 3})) == WANTED


def test_parquet_with_nan_floats_and_integer_ids(tmp_path):
    frame = pd.DataFrame(
        {
            "id": [1.0, 2.0],
            "title": [float("nan"), float("nan")],
            "context": [CONTEXT] * 2,
            "question": [WHO, NOBODY],
            "answer": ["Ragna Lund", None],
            "answer_start": [48.0, float("nan")],
        }
    )
    frame.to_parquet(tmp_path / "a.parquet")
    examples = load(tmp_path / "a.parquet", "repair")
    assert references(examples) == {"1": [LUND], "2": []}
    assert told(examples) == [("no answers", "repaired")]
    assert examples.rows["title"][:] == ["", ""]


def test_parquet_of_articles(tmp_path):
    paragraphs = [
        {"context": CONTEXT, "qas": [{"id": "a1", "question": WHO, "answers": [{"text": LUND[0], "answer_start": 48}]}]}
    ]
    pq.write_table(pa.Table.from_pylist([{"title": "L", "paragraphs": paragraphs}]), tmp_path / "a.parquet")
    assert references(load(tmp_path / "a.parquet")) == {"a1": [LUND]}


def test_a_spreadsheets_unicode_text(tmp_path):
    """Tabs between the cells, UTF-16, a byte order mark, and Windows' line ends."""
    content = f'id\tquestion\tcontext\tanswer\tanswer_start\r\n1\t{WHO}\t"Zürich,\r\n{CONTEXT}"\tRagna Lund\t57\r\n'
    examples = load(write(tmp_path / "a.txt", content.encode("utf-16")))
    assert references(examples) == {"1": [("Ragna Lund", 57)]}
    assert examples.rows["context"][0] == f"Zürich,\r\n{CONTEXT}"


def test_columns_of_different_lengths_are_refused(tmp_path):
    with pytest.raises(Exception, match="columns of lengths"):
        loaded(tmp_path, {"question": ["a"], "context": ["b", "c"]})


def test_a_value_that_no_answer_can_be_is_named(tmp_path):
    for value in (True, {"yes": 1}, [[["deep"]]], [1.5]):
        with pytest.raises(ExampleError, match="answers of wrong type"):
            loaded(tmp_path, [{"id": "1", "question": WHO, "context": CONTEXT, "answer": value}])
