"""8-bit weights: a token that is much larger than the others costs them nothing, and the graph computes the same."""

import numpy as np
import pytest

from qa.inference.onnx_quantise import quantise, scale_tokens

onnx = pytest.importorskip("onnx", reason="makes ONNX files: pip install 'extractive-qa[export]'")
onnxruntime = pytest.importorskip("onnxruntime", reason="runs ONNX files: pip install 'extractive-qa[onnx]'")

WIDE, NARROW, HEAD = 64, 16, 2


def saved_graph(path):
    """A product that narrows, with the weights of a feed-forward layer, and a head."""
    drawn = np.random.default_rng(0)
    weights = {
        "down": drawn.normal(size=(WIDE, NARROW)).astype(np.float32),
        "up": drawn.normal(size=(NARROW, WIDE)).astype(np.float32),
        "head": drawn.normal(size=(WIDE, HEAD)).astype(np.float32),
        "vector": drawn.normal(size=HEAD).astype(np.float32),
    }
    nodes = [
        onnx.helper.make_node("MatMul", ["tokens", "down"], ["narrow"], name="down"),
        onnx.helper.make_node("MatMul", ["narrow", "up"], ["wide"], name="up"),
        onnx.helper.make_node("MatMul", ["wide", "head"], ["two"], name="head"),
        onnx.helper.make_node("MatMul", ["two", "vector"], ["one"], name="vector"),
    ]
    values = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in (("tokens", ["batch", "token", WIDE]), ("narrow", None), ("one", None))
    ]
    initial = [onnx.numpy_helper.from_array(one, name) for name, one in weights.items()]
    graph = onnx.helper.make_graph(nodes, "g", values[:1], values[1:], initial)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10), path)
    return path


def outputs(path, tokens):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {"tokens": tokens})


def tokens_of(largest):
    """Tokens of about 1, the first of which is so much larger."""
    tokens = np.random.default_rng(1).normal(size=(1, 9, WIDE)).astype(np.float32)
    tokens[0, 0] *= largest
    return tokens


def test_scaled_tokens_give_the_same_products(tmp_path):
    plain = saved_graph(tmp_path / "plain.onnx")
    model = onnx.load(plain)
    scale_tokens(model.graph, besides=["head"])
    onnx.save(model, tmp_path / "scaled.onnx")
    assert [node.op_type for node in model.graph.node].count("Div") == 1
    tokens = tokens_of(1000)
    tokens[0, 3] = 0  # a token without anything divides by nothing
    for found, wanted in zip(outputs(tmp_path / "scaled.onnx", tokens), outputs(plain, tokens), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_a_large_token_costs_the_others_nothing(tmp_path):
    """With one scale for all of them, they would keep two or three steps."""
    plain, small = saved_graph(tmp_path / "plain.onnx"), tmp_path / "small.onnx"
    quantise(plain, small, head=HEAD)
    for largest in (1, 100):
        tokens = tokens_of(largest)
        found, wanted = outputs(small, tokens)[0][0, 1:], outputs(plain, tokens)[0][0, 1:]
        assert np.abs(found - wanted).max() < 0.02 * np.abs(wanted).max()


def test_weights_beside_the_file_are_found(tmp_path):
    """Large models have them there, since a file of this kind has 2 GB at most."""
    plain, small = saved_graph(tmp_path / "plain.onnx"), tmp_path / "small.onnx"
    quantise(plain, small, head=HEAD)
    whole = outputs(small, tokens_of(100))
    model = onnx.load(plain)
    onnx.save(model, plain, save_as_external_data=True, location="plain.onnx.data", size_threshold=0)
    quantise(plain, small, head=HEAD)
    np.testing.assert_array_equal(outputs(small, tokens_of(100))[0], whole[0])


def test_only_the_two_files_are_left_and_the_head_is_in_float(tmp_path):
    plain, small = saved_graph(tmp_path / "plain.onnx"), tmp_path / "small.onnx"
    quantise(plain, small, head=HEAD)
    assert {path.name for path in tmp_path.iterdir()} == {"plain.onnx", "small.onnx"}
    types = {one.name: one.data_type for one in onnx.load(small).graph.initializer}
    assert types["head"] == onnx.TensorProto.FLOAT
    assert {"down", "up"}.isdisjoint(types)
