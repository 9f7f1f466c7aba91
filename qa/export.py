"""A trained reader → ONNX files, in float32 and with 8-bit weights, checked and measured against PyTorch.

The files go into `onnx/` of the model's folder, where `Predictor.from_pretrained(folder, backend="onnx")` finds them.
"""

import contextlib
import logging
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from qa.batching import Batch, batch_loader, evaluation_batches
from qa.data import Examples
from qa.errors import ExportError
from qa.features import features_of_table
from qa.files import whole_folder
from qa.metrics import raw_scores
from qa.model import Reader
from qa.onnx_model import ONNX_FILES, SpanLogits, load_onnx_reader
from qa.predictor import Predictor

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


class _Positional(nn.Module):
    """A model whose inputs come in order and whose outputs are a tuple, as the exporter wants them."""

    def __init__(self, reader: Reader) -> None:
        super().__init__()
        self.model, self.names = reader.model, reader.input_names

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        output = self.model(**dict(zip(self.names, inputs, strict=True)))
        return output.start_logits, output.end_logits


# --- making -------------------------------------------------------------------------------------------------------


def export_onnx(reader: Reader, folder: Path) -> None:
    """Write the reader as `onnx/model.onnx` and `onnx/model_int8.onnx` into `folder`, both or neither.

    Raises:
        ExportError: torch's exporter does not take the model, or the exporter or onnxruntime is not installed.

    """
    target = folder / "onnx"
    with whole_folder(target) as part:
        plain, small = (part / Path(ONNX_FILES[name]).name for name in ("onnx", "onnx_int8"))
        _trace(reader, plain)
        _quantise(plain, small)


def _trace(reader: Reader, path: Path) -> None:
    """Export with any number of rows and tokens; the texts traced with are two, of unlike lengths."""
    values = reader.tokenizer(
        ["Who?", "Where is it?"], ["I, you", "It is there."], padding=True, return_tensors="pt",
        return_token_type_ids=True, return_attention_mask=True,
    )  # fmt: skip
    sizes = {0: "batch", 1: "token"}
    try:
        with _quiet(), torch.inference_mode(), _plain_attention(reader.model):
            program = torch.onnx.export(
                _Positional(reader).train(mode=False),
                tuple(values[name] for name in reader.input_names),
                dynamo=True,
                verbose=False,
                input_names=list(reader.input_names),
                output_names=list(SpanLogits._fields),
                dynamic_shapes=(tuple(sizes for _ in reader.input_names),),
            )
            assert program is not None, "the exporter gives nothing only where it writes a file itself"
            program.save(path)
    except ImportError as error:
        raise ExportError(f"cannot export: {error}; install what is missing with: pip install 'qa[onnx]'") from error
    except (RuntimeError, ValueError, TypeError) as error:
        raise ExportError(f"model {reader.model.name_or_path!r} does not become an ONNX file: {error}") from error


@contextlib.contextmanager
def _plain_attention(model: PreTrainedModel) -> Iterator[None]:
    """Let attention be matrix products and a softmax, which onnxruntime runs best.

    torch's fused attention would become the same and checks for rows without any token: in 8 bits 1.4 times the time.
    """
    before = model.config._attn_implementation  # noqa: SLF001  # the library has no public name for it
    model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def _quantise(plain: Path, small: Path) -> None:
    """Write the weights of matrix products in 8 bits, one scale a column.

    Activations are quantised as they come ("dynamic"), so that no data is needed to calibrate. One scale a matrix in
    place of one a column costs 2.5 F1 on SQuAD, and embeddings in 8 bits, which have one scale, 0.8.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415  # an extra

    with _quiet():
        quantize_dynamic(
            plain,
            small,
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            extra_options={"MatMulConstBOnly": True},
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's remarks on other packages, and its warnings on torch's own code, from the user."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


# --- checking and measuring ---------------------------------------------------------------------------------------


def compare(reader: Reader, folder: Path, examples: Examples) -> list[BackendReport]:
    """Run PyTorch and both ONNX files over examples, in turns.

    Args:
        reader: what was exported; on the CPU.
        folder: where `export_onnx` wrote to.
        examples: what to answer; scores are None where they have no references.

    Raises:
        ExportError: the float32 file's logits differ from PyTorch's by more than `TOLERANCE`.

    """
    predictors = {"torch": Predictor.of(reader, device=torch.device("cpu"))}
    predictors |= {name: Predictor.of_onnx(load_onnx_reader(str(folder), name)) for name in ONNX_FILES}
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
    batches = evaluation_batches(features.lengths, _COMPARED_BATCH, wanted.device)
    loader = batch_loader(features, batches, input_names=wanted.input_names, device=wanted.device)
    return max(_batch_difference(wanted, other, batch) for batch in loader)


@torch.inference_mode()
def _batch_difference(wanted: Predictor, other: Predictor, batch: Batch) -> float:
    expected = wanted.model(**batch.inputs)
    found = other.model(**{name: batch.inputs[name] for name in other.input_names})
    kept = batch.inputs["attention_mask"].bool()
    apart = [(getattr(expected, name) - getattr(found, name))[kept].abs().max() for name in SpanLogits._fields]
    return float(max(apart))


def _timed(predictors: Mapping[str, Predictor], examples: Examples) -> tuple[dict[str, list[str]], dict[str, float]]:
    """Return every backend's answers, and the seconds of its fastest turn."""
    asked = [{name: row[name] for name in ("question", "context")} for row in examples.rows]
    answers: dict[str, list[str]] = {}
    seconds = dict.fromkeys(predictors, float("inf"))
    for _ in range(_ROUNDS):
        for name, predictor in predictors.items():
            began = time.perf_counter()
            answers[name] = [answer["answer"] for answer in predictor(asked)]
            seconds[name] = min(seconds[name], time.perf_counter() - began)
    return answers, seconds


def _scores(texts: Sequence[str], examples: Examples) -> tuple[float | None, float | None]:
    if not examples.has_references:
        return None, None
    ids = examples.rows["id"][:]
    references = {key: answers["text"] for key, answers in zip(ids, examples.rows["answers"][:], strict=True)}
    raw = raw_scores(dict(zip(ids, texts, strict=True)), references)
    return float(100.0 * raw.exact.mean()), float(100.0 * raw.f1.mean())
