"""The reader and the questions that the removed pipeline was asked; see `tests/benchmarks/removed_pipeline.py`."""

import argparse
import gzip
import json
import sys
from pathlib import Path

import qa
from qa.config import DataConfig
from qa.data.examples import load_examples
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


def table(name, folder=Path(__file__).parent):
    """What the removed pipeline answered, by id and option."""
    return json.loads(gzip.decompress((folder / f"removed_pipeline_{name}.json.gz").read_bytes()))


def calls(reader, known, rows, *, every=1):
    """Ask `qa.pipeline` what the removed pipeline was asked: options, id, what it finds and what is wanted."""
    nlp = qa.pipeline("question-answering", model=str(reader), device="cpu")
    for place, options in enumerate(known["options"]):
        for key in list(known["answers"])[::every]:
            found = nlp(question=rows[key]["question"], context=rows[key]["context"], **options)
            listed = [found] if isinstance(found, dict) else found
            yield (
                options,
                key,
                [(one["start"], one["end"], one["score"]) for one in listed],
                known["answers"][key][place],
            )


def differs(found, wanted):
    """Tell whether places differ, or scores by 1e-5 and more."""
    if [tuple(one[:2]) for one in found] != [tuple(one[:2]) for one in wanted]:
        return True
    return any(abs(one[2] - other[2]) > 1e-5 for one, other in zip(found, wanted, strict=True))


def compare(folder):
    """Print how many calls differ, by table; return an exit status."""
    wrong = 0
    for path in sorted(folder.glob("removed_pipeline_*.json.gz")):
        name = path.name.removeprefix("removed_pipeline_").removesuffix(".json.gz")
        lines = (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        rows = {row["id"]: row for row in map(json.loads, lines)}
        asked = [
            (options, key, differs(*pair))
            for options, key, *pair in calls(folder / "reader", table(name, folder), rows)
        ]
        different = [(options, key) for options, key, is_different in asked if is_different]
        print(f"{name}: {len(asked)} calls, {len(different)} differ", *different[:5], sep="\n")
        wrong += len(different)
    return int(wrong > 0)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, default=SQUAD)
    parser.add_argument("--compare", action="store_true", help="with the tables that the removed pipeline has written")
    given = parser.parse_args()
    if given.compare:
        sys.exit(compare(given.folder))
    save_small_reader(given.folder / "reader")
    for name in QUESTIONS:
        kept = (
            {key: row[key] for key in ("id", "question", "context")} for row in questions(name, given.data).values()
        )
        text = "".join(f"{json.dumps(row)}\n" for row in kept)
        (given.folder / f"{name}.jsonl").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
