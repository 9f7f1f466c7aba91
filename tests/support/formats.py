"""The same rows in every text format that is read, and what reading them yields."""

import csv
import io
import json

import pytest

from qa.config import DataConfig
from qa.data.sources import read_rows
from qa.errors import DataError

CONTEXT = 'Zürich lies\r\non the "Limmat", 408 m\u2028above 😀 the sea.'


ROWS = [
    {
        "id": f"q{number}",
        "title": "Zürich",
        "context": CONTEXT,
        "question": f"Where, {number}?",
        "answers": {"text": ["Limmat"], "answer_start": [CONTEXT.index("Limmat")]},
    }
    for number in range(3)
]


def nested(rows, *, version="1.1"):
    def question(row):
        texts, starts = row["answers"]["text"], row["answers"]["answer_start"]
        answers = [{"text": t, "answer_start": s} for t, s in zip(texts, starts, strict=True)]
        return {"id": row["id"], "question": row["question"], "answers": answers}

    paragraphs = [{"context": row["context"], "qas": [question(row)]} for row in rows]
    return {"version": version, "data": [{"title": rows[0]["title"], "paragraphs": paragraphs}]}


def csv_text(rows):
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows({**row, "answers": json.dumps(row["answers"])} for row in rows)
    return buffer.getvalue()


TEXTS = {
    "nested": json.dumps(nested(ROWS)),
    "nested-indented": json.dumps(nested(ROWS), indent=2, ensure_ascii=False),
    "articles": json.dumps(nested(ROWS)["data"]),
    "list": json.dumps(ROWS),
    "data-list": json.dumps({"version": "x", "data": ROWS}, ensure_ascii=False),
    "lines": "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS),
    "lines-crlf": "\r\n".join(json.dumps(row) for row in ROWS) + "\r\n\r\n",
    "csv": csv_text(ROWS),
}


def read(source, *, split="train", config=None):
    return list(read_rows(str(source), split=split, config=config or DataConfig()))


def flat(row):
    """Return a row with its answers in the layout of columns."""
    answers = row["answers"]
    answers = json.loads(answers) if isinstance(answers, str) else answers
    if isinstance(answers, list):
        answers = {key: [answer[key] for answer in answers] for key in ("text", "answer_start")}
    return {**row, "answers": answers}


def failure(source, **options):
    with pytest.raises(DataError) as caught:
        read(source, **options)
    return str(caught.value)
