"""Rows about the lighthouse, nested as SQuAD has them or flat."""

from qa.data.problems import DataProblem
from tests.support.rows import CONTEXT, LUND, METRES, TALL, WHO


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


TWICE = "Ragna Lund built it. Later Ragna Lund sold it."


BOTH = {"a1": [LUND], "a2": [METRES]}


TWO = (qa("a1", WHO, LUND), qa("a2", TALL, METRES))


def only_problem(examples) -> DataProblem:
    (problem,) = examples.problems
    return problem
