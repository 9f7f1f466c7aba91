"""Attention by one operator: the same logits, with and without padding, and a model's own where that says more."""

from collections import Counter

import numpy as np
import pytest
import torch
from transformers import AttentionInterface

from qa.inference.onnx import ONNX_FILES, OnnxModel
from qa.inference.onnx_attention import FUSED, attention_by
from qa.inference.onnx_export import trace_model
from qa.modeling.reader import load_reader
from tests.support import tiny, zoo
from tests.support.predictors import saved

onnx = pytest.importorskip("onnx", reason="makes ONNX files: pip install 'extractive-qa[export]'")
pytest.importorskip("onnxruntime", reason="runs ONNX files: pip install 'extractive-qa[onnx]'")

OPERATOR = "MultiHeadAttention"


def operators(path):
    """The nodes of a file by kind, and those of both branches of its conditions."""
    graph = onnx.load(path, load_external_data=False).graph
    inner = Counter(one.op_type for node in graph.node for at in node.attribute for one in at.g.node)
    return Counter(node.op_type for node in graph.node), inner


def largest_difference(file, reader, **inputs):
    """Of the logits of tokens that are no padding."""
    found = file(**{name: one.numpy() for name, one in inputs.items()})
    with torch.inference_mode():
        wanted = reader.model(**inputs)
    seen = inputs["attention_mask"].numpy() == 1
    return max(np.abs(one - other.numpy())[seen].max() for one, other in zip(found, wanted.to_tuple(), strict=True))


@pytest.mark.parametrize(
    "family", ["distilbert", *(pytest.param(name, marks=pytest.mark.slow) for name in ("bert", "modernbert"))]
)
def test_logits_are_the_models_with_padding_and_without(family, tmp_path):
    reader = load_reader(str(saved(tmp_path, family)))
    trace_model(reader, tmp_path / "fused.onnx", attention=FUSED)
    kinds, inner = operators(tmp_path / "fused.onnx")
    layers = reader.model.config.num_hidden_layers
    assert kinds["If"] == layers
    assert inner[OPERATOR] == inner["Softmax"] == layers
    assert "Softmax" not in kinds
    file = OnnxModel(tmp_path / "fused.onnx")
    for contexts in ((40,), (40, 40), (7, 40), (1, 3, 60)):
        assert largest_difference(file, reader, **reader.windows(*contexts)) < 1e-4


def test_a_token_beyond_the_mask_changes_nothing(tmp_path):
    """The branch without a mask is for rows that need none."""
    reader = load_reader(str(saved(tmp_path, "distilbert")))
    trace_model(reader, tmp_path / "fused.onnx", attention=FUSED)
    file, inputs = OnnxModel(tmp_path / "fused.onnx"), reader.windows(7, 40)
    arrays = {name: one.numpy() for name, one in inputs.items()}
    hidden = arrays["attention_mask"] == 0
    before = file(**arrays)
    arrays["input_ids"] = np.where(hidden, 7, arrays["input_ids"])
    after = file(**arrays)
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one[~hidden], other[~hidden])
    arrays["attention_mask"] = np.ones_like(arrays["attention_mask"])
    assert np.abs(file(**arrays).start_logits - after.start_logits)[~hidden].max() > 1e-4


def test_the_8_bit_file_has_the_operator_and_the_other_none(exported):
    layers = tiny.model().config.num_hidden_layers
    assert operators(exported / ONNX_FILES["onnx_int8"])[1][OPERATOR] == layers
    kinds, inner = operators(exported / ONNX_FILES["onnx"])
    assert {OPERATOR, "If"}.isdisjoint(kinds + inner)
    assert {node.domain for node in onnx.load(exported / ONNX_FILES["onnx"]).graph.node} == {""}
    assert sorted(one.name for one in (exported / "onnx").iterdir()) == ["layout.json", "model.onnx", "model_int8.onnx"]


@pytest.mark.parametrize("shared", [1, 2])
def test_heads_that_share_a_key_are_the_models_own(shared, tmp_path):
    """The operator has as many keys as queries."""
    reader = load_reader(str(zoo.save(tmp_path, "llama", windows=80, num_key_value_heads=2 // shared)))
    trace_model(reader, tmp_path / "fused.onnx", attention=FUSED)
    kinds, _ = operators(tmp_path / "fused.onnx")
    assert (kinds["If"], kinds["Softmax"]) == ((1, 0) if shared == 1 else (0, 1))
    assert largest_difference(OnnxModel(tmp_path / "fused.onnx"), reader, **reader.windows(7, 40)) < 1e-4


class Attention(torch.nn.Module):
    """Attention whose class stands beside its own way to attend, as those of the library."""


def eager_attention_forward(_module, query, key, value, _mask, *, scaling, softcap, **_options):
    """Attend with a cap on the products, as Gemma 2 does."""
    products = query @ key.mT * scaling
    return ((products / softcap).tanh() * softcap).softmax(-1) @ value, None


def test_an_option_that_the_operator_has_not_is_the_models_own():
    query, key, value = torch.randn(3, 1, 2, 5, 8, generator=torch.Generator().manual_seed(0)) * 3
    found, _ = AttentionInterface()[FUSED](Attention(), query, key, value, None, scaling=1.0, softcap=0.5)
    wanted, _ = eager_attention_forward(None, query, key, value, None, scaling=1.0, dropout=0.0, softcap=0.5)
    torch.testing.assert_close(found, wanted)
    assert (found - (query @ key.mT).softmax(-1) @ value).abs().max() > 0.1  # the cap is not lost


def test_attention_is_as_before_afterwards(tmp_path):
    model = load_reader(str(saved(tmp_path, "distilbert"))).model
    with attention_by(model, FUSED):
        assert model.config._attn_implementation == FUSED
    assert model.config._attn_implementation == "sdpa"
