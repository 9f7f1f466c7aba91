"""Rows of data sets, written to files and loaded as examples."""

import gzip
import json

from qa.config import DataConfig
from qa.data.examples import load_examples

CONTEXT = "The lighthouse of Skarholm was built in 1871 by Ragna Lund. It is 34 metres tall."
WHO, TALL = "Who built the lighthouse?", "How tall is it?"
LUND, METRES = ("Ragna Lund", 48), ("34 metres", 66)
LONG = "The lighthouse of Skarholm was built in 1871 by Ragna Lund. " * 40
"""A context of several windows."""


def row(number=0, *, context="the cat and the cat sat", text="cat", start=4, **changes):
    answers = {"text": [text], "answer_start": [start]}
    return {"id": f"q{number}", "title": "t", "context": context, "question": "Who?", "answers": answers} | changes


def without(key):
    """A row that lacks a column."""
    return {name: value for name, value in row().items() if name != key}


def answers(*pairs):
    return {"text": [text for text, _ in pairs], "answer_start": [start for _, start in pairs]}


def write(path, content):
    """Write text, bytes, a JSON value or, where the name says so, JSON Lines; packed if it ends in .gz."""
    if not isinstance(content, str | bytes):
        lines = ".jsonl" in path.name
        content = "".join(f"{json.dumps(one)}\n" for one in content) if lines else json.dumps(content)
    content = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    return path


def load(path, on_bad_example="error", *, split="train", **options):
    return load_examples(str(path), split=split, config=DataConfig(on_bad_example=on_bad_example), **options)


def loaded(tmp_path, content, on_bad_example="error", *, name="rows.json", **options):
    """Examples of a file with that content."""
    return load(write(tmp_path / name, content), on_bad_example, **options)


def references(examples):
    """Texts and places of every example, by id."""
    return {
        one["id"]: list(zip(one["answers"]["text"], one["answers"]["answer_start"], strict=True))
        for one in examples.rows
    }


def told(examples):
    """Kind and action of every problem."""
    return [(problem.kind, problem.action) for problem in examples.problems]


def numbered(contexts, each=2):
    """Rows of contexts that begin with their number; all questions of each but the first have an answer."""
    return [
        {"id": f"{at}-{nth}", "title": f"t{at // 3}", "question": f"{WHO} {nth}", "context": f"{at} {CONTEXT}"}
        | {"answers": answers(("Ragna Lund", len(f"{at} ") + 48)) if nth else answers()}
        for at in range(contexts)
        for nth in range(each)
    ]
