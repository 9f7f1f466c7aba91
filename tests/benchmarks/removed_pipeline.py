"""What the removed pipeline answers, and how fast, with transformers 5.2.0 in an environment of its own.

    python -m venv OLD && OLD/bin/pip install torch transformers==5.2.0
    python -m tests.support.removed_pipeline FOLDER [--data SQUAD]  # writes the reader and the questions
    OLD/bin/python tests/benchmarks/removed_pipeline.py FOLDER      # writes FOLDER/removed_pipeline_*.json.gz
    python -m tests.support.removed_pipeline FOLDER --compare       # asks qa.pipeline the same, and counts what differs
    python -m tests.benchmarks --removed OLD/bin/python --only question   # asks it beside the predictor, in turns

This file knows nothing of the project: that needs a newer transformers. The table of the embedded set lies in
`tests/support` too, for `tests/inference/test_removed_pipeline.py`.
"""

import gzip
import json
import os
import sys
from pathlib import Path

OPTIONS = (
    {},
    {"handle_impossible_answer": True},
    {"align_to_words": False},
    {"max_answer_len": 4},
    {"top_k": 3},
    {"top_k": 3, "handle_impossible_answer": True, "max_answer_len": 30},
    {"top_k": 20, "align_to_words": False},
    {"max_seq_len": 128, "doc_stride": 32},
    {"max_seq_len": 128, "doc_stride": 64, "top_k": 3, "handle_impossible_answer": True},
    {"max_seq_len": 96, "doc_stride": 8, "top_k": 3, "align_to_words": False, "max_answer_len": 8},
)
"""The grid: every option with two values at least, alone and together."""
WANTED = "5.2.0"


def main(folder):
    answer = loaded(folder)
    for questions in sorted(folder.glob("*.jsonl")):
        rows = [json.loads(line) for line in questions.read_text(encoding="utf-8").splitlines()]
        table = {row["id"]: [plain(answer, row, options) for options in OPTIONS] for row in rows}
        content = json.dumps({"transformers": WANTED, "options": OPTIONS, "answers": table})
        path = folder / f"removed_pipeline_{questions.stem}.json.gz"
        path.write_bytes(gzip.compress(content.encode(), 9, mtime=0))
        print(path, len(rows), path.stat().st_size)


def loaded(folder):
    import transformers
    from transformers import pipeline

    assert transformers.__version__ == WANTED, transformers.__version__
    return pipeline("question-answering", model=str(folder / "reader"), device=-1)


def asked_in_turns(folder, how):
    """Answer the questions of a file once, and then once for every line of standard input."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print goes to standard error
    answer, rows = loaded(folder), json.loads((folder / "questions.json").read_text(encoding="utf-8"))
    while True:
        if how == "list":
            answer(question=[row["question"] for row in rows], context=[row["context"] for row in rows])
        else:
            for row in rows:
                answer(question=row["question"], context=row["context"])
        print(len(rows), file=answers, flush=True)
        if not sys.stdin.readline():
            return


def plain(answer, row, options):
    """Start, end and score of every answer; the texts are in the contexts."""
    found = answer(question=row["question"], context=row["context"], **options)
    listed = [found] if isinstance(found, dict) else found
    assert all(row["context"][one["start"] : one["end"]] == one["answer"] for one in listed)
    return [[one["start"], one["end"], float(f"{one['score']:.6g}")] for one in listed]


if __name__ == "__main__":
    if len(sys.argv) > 2:
        asked_in_turns(Path(sys.argv[1]), sys.argv[2])
    else:
        main(Path(sys.argv[1]))
