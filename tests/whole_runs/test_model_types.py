"""Every model type that has a question-answering head works, start to end, or is refused in a line."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import train_qa
from qa.config import DataConfig
from qa.data.examples import load_examples, take
from qa.errors import ExportError, ModelError
from qa.features.collation import collate
from qa.features.windows import features_of_table
from qa.inference import onnx_export
from qa.inference.comparison import TOLERANCE, logit_difference
from qa.inference.onnx import OnnxModel
from qa.inference.onnx_quantise import quantise
from qa.inference.predictor import Predictor
from qa.modeling.reader import load_reader
from qa.presets import parse_config
from tests.support import tiny, zoo
from tests.support.windows import config

pytestmark = pytest.mark.usefixtures("fresh_accelerator")

TAKEN = [kind for kind in zoo.TYPES if kind not in zoo.REFUSED]
SOME = ("bert", "gpt2")
"""The others take longer together than a test should."""
WINDOWS = config(80, 16, 16)


def some_of(kinds):
    return [kind if kind in SOME else pytest.param(kind, marks=pytest.mark.slow) for kind in kinds]


@pytest.mark.parametrize("kind", zoo.REFUSED)
def test_a_type_that_cannot_work_is_refused_in_a_line(kind, tmp_path):
    with pytest.raises(ModelError, match=zoo.REFUSED[kind]) as refused:
        load_reader(str(zoo.save(tmp_path, kind)), max_length=80)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("kind", TAKEN)
def test_answers_follow_from_question_and_context_and_from_nothing_else(kind, tmp_path):
    """Not from what was asked before, or from padding; the context and the null position know both texts."""
    reader = load_reader(str(zoo.save(tmp_path, kind)), max_length=80)
    pairs = [("Which number?", "The number is 7."), ("Where?", "The number is 7."), ("Which number?", "It is in Oslo.")]
    rows = tiny.examples(*(tiny.example(*pair) for pair in pairs), tiny.example("Who?", "many words " * 60))
    features = features_of_table(rows.with_format("arrow")[:], reader.encoder, WINDOWS)

    def logits(*indices):
        batch = collate(features, np.array(indices), input_names=reader.input_names, pad_multiple=8)
        with torch.inference_mode():
            output = reader.model(**batch.inputs)
        here, null = batch.in_context[0], batch.null_position[0]
        both = torch.stack([output.start_logits, output.end_logits])[:, 0]
        return both[:, here], both[:, null]

    (context, null), scale = logits(0), 1e-4
    for again in (logits(0), logits(0, len(features) - 1), logits(0)):  # alone, padded, after the longest
        torch.testing.assert_close(again, (context, null), atol=scale, rtol=1e-3)
    assert (logits(1)[0] - context).abs().max() > scale
    assert (logits(1)[1] - null).abs().max() > scale
    assert (logits(2)[1] - null).abs().max() > scale


LOOSE = {"mobilebert": 0.05}
"""Largest differences where logits are over a thousand, for want of a norm in the layers."""


def run(folder, reader, *flags):
    windows = ["--features.max-length", "80", "--features.doc-stride", "16", "--features.max-question-length", "16"]
    steps = ["--training.max-steps", "2", "--training.save-every", "1", "--training.batch-size", "4"]
    sizes = ["--max-train-examples", "8", "--max-validation-examples", "4", "--tracking.report-to", "none"]
    cache = ["--features.cache-dir", str(folder.parent / "cache")]
    named = ["--model", str(reader), "--output-dir", str(folder)]
    train_qa.run(parse_config([*named, *windows, *steps, *sizes, *cache, *flags]))


@pytest.mark.parametrize("kind", some_of(TAKEN))
def test_a_type_trains_resumes_evaluates_and_answers(kind, tmp_path, fresh_accelerator):
    reader, folder = zoo.save(tmp_path / "reader", kind), tmp_path / "run"
    run(folder, reader)
    last = folder / "checkpoints" / "step-00000002" / "model.safetensors"
    whole, before = load_file(last), load_file(folder / "checkpoints" / "step-00000001" / "model.safetensors")
    assert any(not torch.equal(value, before[name]) for name, value in whole.items())
    assert all(value.isfinite().all() for value in whole.values())
    shutil.rmtree(last.parent)
    fresh_accelerator()
    run(folder, reader, "--resume")
    assert all(torch.equal(value, whole[name]) for name, value in load_file(last).items())

    written = json.loads((folder / "predictions.json").read_text())
    rows = {row["id"]: row for row in tiny.sample_rows("validation") if row["id"] in written}
    predictor = Predictor.from_pretrained(folder / "model", device="cpu")
    asked = [{"question": rows[key]["question"], "context": rows[key]["context"]} for key in written]
    assert [answer["answer"] for answer in predictor(asked, no_answer=0.0, max_question_length=16)] == list(
        written.values()
    )


@pytest.mark.parametrize("kind", some_of(TAKEN))
def test_a_type_is_exported_with_its_logits_or_refused_in_a_line(kind, tmp_path, monkeypatch):
    folder = zoo.save(tmp_path, kind, windows=80)
    reader = load_reader(str(folder))
    found = difference(reader, folder, keep_fused(tmp_path, monkeypatch))
    if isinstance(found, str):
        assert kind not in zoo.EXPORTED
        assert zoo.NOT_EXPORTED.get(kind, "") in found
        assert "\n" not in found
    else:
        assert kind not in zoo.NOT_EXPORTED
        assert found <= LOOSE.get(kind, TOLERANCE)


def keep_fused(folder, monkeypatch):
    """Keep what 8-bit weights are made from; return where."""
    kept = folder / "fused.onnx"

    def kept_and_quantised(plain, small, **rest):
        shutil.copy(plain, kept)
        quantise(plain, small, **rest)

    monkeypatch.setattr(onnx_export, "quantise", kept_and_quantised)
    return kept


def difference(reader, folder, fused):
    """Of the logits of both kinds of attention from the model's, or the message that says why there is no file."""
    pytest.importorskip("onnxscript", reason="makes ONNX files: pip install 'extractive-qa[export]'")
    try:
        onnx_export.export_onnx(reader, folder)
    except ExportError as refused:
        return str(refused)
    examples = take(load_examples("sample", split="validation", config=DataConfig()), 6)
    own, file, small = (
        Predictor.from_pretrained(folder, device="cpu", backend=name) for name in ("torch", "onnx", "onnx_int8")
    )
    assert np.isfinite(logit_difference(own, small, examples))
    plain = logit_difference(own, file, examples)
    file.reader = replace(file.reader, model=OnnxModel(fused))
    return max(plain, logit_difference(own, file, examples))
