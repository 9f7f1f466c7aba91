"""Backends side by side on examples."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from qa.data.examples import Examples
from qa.errors import ExportError
from qa.features.collation import Batch
from qa.features.joining import by_token
from qa.features.loader import batch_loader
from qa.features.order import evaluation_batches
from qa.features.windows import features_of_table
from qa.inference.onnx import ONNX_FILES, SpanLogits
from qa.inference.onnx_reader import OnnxReader
from qa.inference.predictor import Predictor
from qa.inference.torch_reader import torch_backend
from qa.metrics import raw_scores
from qa.modeling.reader import Reader

TOLERANCE = 1e-3
"""Largest difference of logits that float32 in another order of sums may make; observed: 1e-5."""
_COMPARED, _COMPARED_BATCH = 32, 8  # examples, and their windows at once, whose logits are compared
_ROUNDS = 3
"""Turns that the backends take, so that what else the machine does falls on all of them."""


@dataclass(frozen=True, kw_only=True)
class BackendReport:
    """One way of running a model, measured on examples."""

    backend: str
    megabytes: float
    """Size of its weights on disk, in millions of bytes."""
    exact: float | None
    """Exact match, in percent; None without references."""
    f1: float | None
    """In percent; None without references."""
    milliseconds: float
    """Of an example, in the fastest of several turns."""
    speed: float
    """Examples a second, relative to PyTorch."""
    logit_difference: float
    """Largest difference of a logit from PyTorch's, over all tokens that are not padding."""
    equal_answers: float
    """Examples answered with the same characters as by PyTorch, in percent."""


def compare(reader: Reader, folder: Path, examples: Examples) -> list[BackendReport]:
    """Run PyTorch and both ONNX files over examples, in turns.

    Args:
        reader: what was exported; on the CPU.
        folder: where `export_onnx` wrote to.
        examples: what to answer; scores are None where they have no references.

    Raises:
        ExportError: the float32 file's logits differ from PyTorch's by more than `TOLERANCE`.

    """
    predictors = {"torch": Predictor(torch_backend(reader, device=torch.device("cpu")))}
    predictors |= {name: Predictor.from_pretrained(folder, backend=name) for name in ONNX_FILES}
    differences = {name: logit_difference(predictors["torch"], other, examples) for name, other in predictors.items()}
    if not differences["onnx"] <= TOLERANCE:
        raise ExportError(f"logits of the ONNX file differ by {differences['onnx']:.2g}; wanted {TOLERANCE} at most")
    answers, seconds = _timed(predictors, examples)
    bytes_of: dict[str, int] = {name: (folder / file).stat().st_size for name, file in ONNX_FILES.items()}
    bytes_of["torch"] = sum(weights.nbytes for weights in reader.model.parameters())
    scores = {name: _scores(found, examples) for name, found in answers.items()}
    return [
        BackendReport(
            backend=name,
            megabytes=bytes_of[name] / 1e6,
            exact=scores[name][0],
            f1=scores[name][1],
            milliseconds=1e3 * seconds[name] / len(examples),
            speed=seconds["torch"] / seconds[name],
            logit_difference=differences[name],
            equal_answers=100.0 * float(np.mean([a == b for a, b in zip(found, answers["torch"], strict=True)])),
        )
        for name, found in answers.items()
    ]


def logit_difference(wanted: Predictor, other: Predictor, examples: Examples) -> float:
    """Return the largest difference of two predictors' logits on the features of the first examples."""
    options = wanted.options()
    table = examples.rows.select(range(min(len(examples), _COMPARED))).with_format("arrow")[:]
    features = features_of_table(table, wanted.encoder, options.features)
    batches = evaluation_batches(features.lengths, _COMPARED_BATCH, wanted.device.type)
    loader = batch_loader(features, batches, input_names=wanted.input_names, device=wanted.device)
    return max(_batch_difference(wanted, other, batch) for batch in loader)


@torch.inference_mode()
def _batch_difference(wanted: Predictor, other: Predictor, batch: Batch) -> float:
    expected = _output(wanted, batch.inputs)
    found = _output(other, {name: batch.inputs[name] for name in other.input_names})
    kept = batch.inputs["attention_mask"].bool()
    apart = [
        by_token(getattr(expected, name) - getattr(found, name), batch)[kept].abs().max() for name in SpanLogits._fields
    ]
    return float(max(apart))


def _output(predictor: Predictor, inputs: Mapping[str, torch.Tensor]) -> SpanLogits:
    """Return tensors from any reader."""
    if isinstance(predictor.reader, OnnxReader):
        return SpanLogits(*map(torch.from_numpy, predictor.reader.model(**{n: t.numpy() for n, t in inputs.items()})))
    output = predictor.reader.model(**inputs)
    return SpanLogits(output.start_logits, output.end_logits)


def _timed(predictors: Mapping[str, Predictor], examples: Examples) -> tuple[dict[str, list[str]], dict[str, float]]:
    """Return every backend's answers, and the seconds of its fastest turn."""
    asked = [{name: row[name] for name in ("question", "context")} for row in examples.rows]
    answers: dict[str, list[str]] = {}
    seconds = dict.fromkeys(predictors, float("inf"))
    for _ in range(_ROUNDS):
        for name, predictor in predictors.items():
            began = time.perf_counter()
            answers[name] = [answer["answer"] for answer in predictor(asked, answers="any")]
            seconds[name] = min(seconds[name], time.perf_counter() - began)
    return answers, seconds


def _scores(texts: Sequence[str], examples: Examples) -> tuple[float | None, float | None]:
    if not examples.has_references:
        return None, None
    ids = examples.rows["id"][:]
    references = {key: answers["text"] for key, answers in zip(ids, examples.rows["answers"][:], strict=True)}
    raw = raw_scores(dict(zip(ids, texts, strict=True)), references)
    return float(100.0 * raw.exact.mean()), float(100.0 * raw.f1.mean())
