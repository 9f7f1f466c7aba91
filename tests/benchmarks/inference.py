"""What competes in answering on the CPU: the predictor, with PyTorch or an ONNX file, the plain loop, and the pipeline
that transformers removed.

All answer the same neighbours of the validation set with the same model: `Setup.model`, or the embedded one with a new
head, whose answers are not worth scoring.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from qa.adaptation.words import find_sentences
from qa.config import DataConfig
from qa.data.examples import load_examples
from qa.inference.onnx_export import export_onnx
from qa.inference.predictor import Predictor
from qa.inference.torch_reader import torch_backend
from qa.metrics import raw_scores
from qa.modeling.reader import load_reader
from qa.modeling.saving import save_surroundings
from tests.benchmarks import baselines, removed_pipeline
from tests.benchmarks import contestants as c

MOST_F1_LOST = 0.5
"""Of 8-bit weights, against the predictor with PyTorch."""
ALONE = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
"""Variables of a process that is to find the packages of its own environment."""
FEWEST_EQUAL = 90.0
"""Answers of 8-bit weights that are those of PyTorch, in percent."""


def reader_of(setup: c.Setup):
    return c.minilm() if setup.model is None else load_reader(setup.model)


def questions(setup: c.Setup) -> list[dict[str, str]]:
    rows = c.validation_rows(setup, 1).select(range(setup.asked))
    return [{name: row[name] for name in ("question", "context")} for row in rows]


def predictor_of(setup: c.Setup, backend: str) -> Predictor:
    reader = reader_of(setup)
    if backend == "torch":
        return Predictor(torch_backend(reader, device=torch.device("cpu")))
    folder = Path(tempfile.mkdtemp(prefix="qa-benchmark-"))
    save_surroundings(reader, folder)
    export_onnx(reader, folder)
    return Predictor.from_pretrained(folder, backend=backend)


def ours_asked(setup: c.Setup, *, backend: str) -> Iterator[float]:
    predictor, asked = predictor_of(setup, backend), questions(setup)
    while True:
        predictor(asked)
        yield len(asked)


def ours_one_by_one(setup: c.Setup, *, backend: str) -> Iterator[float]:
    predictor, asked = predictor_of(setup, backend), questions(setup)
    while True:
        for row in asked:
            predictor(row)
        yield len(asked)


def theirs_removed(setup: c.Setup, *, how: str) -> Iterator[float]:
    """The removed pipeline in the environment that it needs; `how`: "one" at a time, or a "list"."""
    folder = Path(tempfile.mkdtemp(prefix="qa-benchmark-"))
    reader = reader_of(setup)
    reader.model.save_pretrained(folder / "reader")
    reader.tokenizer.save_pretrained(folder / "reader")
    (folder / "questions.json").write_text(json.dumps(questions(setup)), encoding="utf-8")
    command = [setup.removed, removed_pipeline.__file__, str(folder), how]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ALONE) as process:
        while True:
            yield float(process.stdout.readline())
            process.stdin.write("go\n")
            process.stdin.flush()


def ours_evidence(setup: c.Setup) -> Iterator[float]:
    predictor, asked = predictor_of(setup, "torch"), questions(setup)
    while True:
        for row in asked:
            predictor.evidence(row["question"], [row["context"]])
        yield len(asked)


def theirs_sentences(setup: c.Setup) -> Iterator[float]:
    """The same reader over every sentence by itself."""
    predictor, asked = predictor_of(setup, "torch"), questions(setup)
    while True:
        for row in asked:
            parts = [row["context"][begin:end] for begin, end in find_sentences(row["context"])]
            predictor(question=row["question"], context=parts, answers="any")
        yield len(asked)


def theirs_asked(setup: c.Setup) -> Iterator[float]:
    reader, asked = reader_of(setup), questions(setup)
    reader.model.train(mode=False)
    while True:
        baselines.loop(reader.model, reader.tokenizer, asked)
        yield len(asked)


def f1(setup: c.Setup, *, backend: str, less: float = 0.0) -> Iterator[float]:
    """F1 on a spread of the validation set, in percent, less a margin."""
    rows = scored_rows(setup)
    references = {row["id"]: row["answers"]["text"] for row in rows}
    texts = answers_to(rows, predictor_of(setup, backend))
    found = 100.0 * raw_scores(dict(zip(references, texts, strict=True)), references).f1.mean() - less
    while True:
        yield float(found)


def equal_answers(setup: c.Setup, *, backend: str) -> Iterator[float]:
    """Answers on the same that are those of PyTorch, in percent."""
    rows = scored_rows(setup)
    found, wanted = (answers_to(rows, predictor_of(setup, name)) for name in (backend, "torch"))
    while True:
        yield 100.0 * sum(one == other for one, other in zip(found, wanted, strict=True)) / len(rows)


def fewest_equal(setup: c.Setup) -> Iterator[float]:
    del setup
    while True:
        yield FEWEST_EQUAL


def scored_rows(setup: c.Setup):
    source = "sample" if setup.data is None else str(Path(setup.data) / "validation.parquet")
    rows = load_examples(source, split="validation", config=DataConfig()).rows
    return rows.select(range(0, len(rows), max(1, len(rows) // setup.scored)))


def answers_to(rows, predictor: Predictor) -> list[str]:
    return [found["answer"] for found in predictor(list(rows.select_columns(["question", "context"])))]
