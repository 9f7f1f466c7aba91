"""What competes in answering on the CPU: the predictor, with PyTorch or an ONNX file, and the plain loop.

All answer the same neighbours of the validation set with the same model: `Setup.model`, or the embedded one with a new
head, whose answers are not worth scoring.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from qa.config import DataConfig
from qa.data.examples import load_examples
from qa.inference.onnx_export import export_onnx
from qa.inference.predictor import Predictor
from qa.inference.torch_reader import torch_backend
from qa.metrics import raw_scores
from qa.modeling.reader import load_reader
from qa.modeling.saving import save_surroundings
from tests.benchmarks import baselines
from tests.benchmarks import contestants as c

MOST_F1_LOST = 1.0
"""Of 8-bit weights, against the predictor with PyTorch."""


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


def theirs_asked(setup: c.Setup) -> Iterator[float]:
    reader, asked = reader_of(setup), questions(setup)
    reader.model.train(mode=False)
    while True:
        baselines.loop(reader.model, reader.tokenizer, asked)
        yield len(asked)


def f1(setup: c.Setup, *, backend: str, less: float = 0.0) -> Iterator[float]:
    """F1 on a spread of the validation set, in percent, less a margin."""
    source = "sample" if setup.data is None else str(Path(setup.data) / "validation.parquet")
    rows = load_examples(source, split="validation", config=DataConfig()).rows
    rows = rows.select(range(0, len(rows), max(1, len(rows) // setup.scored)))
    texts = [
        found["answer"] for found in predictor_of(setup, backend)(list(rows.select_columns(["question", "context"])))
    ]
    references = {row["id"]: row["answers"]["text"] for row in rows}
    found = 100.0 * raw_scores(dict(zip(references, texts, strict=True)), references).f1.mean() - less
    while True:
        yield float(found)
