"""The reader and the questions that the removed pipeline was asked; see `tests/benchmarks/removed_pipeline.py`."""

import argparse
import gzip
import json
from pathlib import Path

from qa.config import DataConfig
from qa.data.examples import load_examples
from tests.benchmarks.removed_pipeline import TABLES
from tests.benchmarks.small_reader import load_small_reader
from tests.support import tiny

SQUAD = Path(__file__).parents[3] / "shared" / "data" / "squad_v1" / "validation.parquet"
"""Where it lies beside a checkout; the project ships none of it."""
QUESTIONS = {"sample": 40, "squad": 500}


def save_small_reader(folder):
    reader = load_small_reader()
    reader.model.save_pretrained(folder)
    reader.tokenizer.save_pretrained(folder)
    return folder


def questions(name, data=SQUAD):
    """Question and context by id: of the embedded set, or of SQuAD."""
    rows = (
        tiny.sample("validation")
        if name == "sample"
        else load_examples(str(data), split="validation", config=DataConfig()).rows
    )
    step = len(rows) / QUESTIONS[name]
    return {row["id"]: row for row in (dict(rows[int(at * step)]) for at in range(QUESTIONS[name]))}


def table(name):
    """What the removed pipeline answered, by id and option."""
    return json.loads(gzip.decompress((TABLES / f"removed_pipeline_{name}.json.gz").read_bytes()))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, default=SQUAD)
    given = parser.parse_args()
    save_small_reader(given.folder / "reader")
    for name in QUESTIONS:
        kept = (
            {key: row[key] for key in ("id", "question", "context")} for row in questions(name, given.data).values()
        )
        text = "".join(f"{json.dumps(row)}\n" for row in kept)
        (given.folder / f"{name}.jsonl").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
