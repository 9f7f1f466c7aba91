"""ONNX files: any batch and length, the logits and answers of PyTorch, 8-bit weights, the command."""

from pathlib import Path

import onnx
import pytest
import torch

from qa.config import DataConfig
from qa.data.examples import load_examples, take
from qa.errors import ExportError
from qa.inference.onnx import ONNX_FILES, OnnxModel
from qa.inference.onnx_export import export_onnx, trace_model
from qa.inference.predictor import Predictor
from qa.modeling.conditional_head import RANK
from qa.modeling.reader import load_reader
from tests.support import tiny
from tests.support.predictors import saved

ROOT = Path(__file__).parents[2]


def examples(count=12):
    return take(load_examples("sample", split="validation", config=DataConfig()), count)


def test_attention_is_plain_in_the_file_and_as_before_in_the_model(exported):
    """What checks for rows without any token would take half as much time again."""
    reader = load_reader(str(exported))
    before = reader.model.config._attn_implementation
    export_onnx(reader, exported)
    assert reader.model.config._attn_implementation == before == "sdpa"
    kinds = {node.op_type for node in onnx.load(exported / ONNX_FILES["onnx"]).graph.node}
    assert "Softmax" in kinds
    assert "IsNaN" not in kinds


def test_the_predictor_answers_from_the_file_as_from_the_weights(exported):
    asked = [{"question": row["question"], "context": row["context"]} for row in tiny.sample_rows("validation")[:8]]
    wanted = Predictor.from_pretrained(exported, device="cpu")
    for backend in ("onnx", "onnx_int8"):
        found = Predictor.from_pretrained(exported, backend=backend)
        assert found.reader.longest == wanted.reader.longest
        assert found.settings == wanted.settings
        assert len(found(asked, top_k=3)) == len(asked)
    onnx = Predictor.from_pretrained(exported, backend="onnx")
    assert [a["answer"] for a in onnx(asked)] == [a["answer"] for a in wanted(asked)]
    assert [a["score"] for a in onnx(asked)] == pytest.approx([a["score"] for a in wanted(asked)], abs=1e-5)


def test_files_tell_nothing_of_the_machine_that_made_them(exported):
    """The exporter writes beside every node which lines of which files on the disk it is from."""
    for name in ONNX_FILES.values():
        content = (exported / name).read_bytes()
        for said in (str(ROOT), "site-packages", "stack_trace", "onnx_export.py"):
            assert said.encode() not in content


@pytest.mark.parametrize(("folder", "columns"), [("exported", 2), ("conditional_exported", 2 + 2 * RANK)])
def test_the_head_stays_in_float_among_8_bit_weights(folder, columns, request):
    graph = onnx.load(request.getfixturevalue(folder) / ONNX_FILES["onnx_int8"]).graph
    hidden = tiny.model().config.hidden_size
    floats = [list(one.dims) for one in graph.initializer if one.data_type == onnx.TensorProto.FLOAT]
    assert [hidden, columns] in floats
    assert [hidden, hidden] not in floats
    assert "MatMulInteger" in {node.op_type for node in graph.node}


def test_a_failed_export_leaves_the_earlier_files(exported, monkeypatch):
    before = {file.name: file.stat().st_mtime_ns for file in (exported / "onnx").iterdir()}
    monkeypatch.setattr(torch.onnx, "export", lambda *_, **__: (_ for _ in ()).throw(RuntimeError("no such operator")))
    with pytest.raises(ExportError, match="does not become an ONNX file: no such operator"):
        export_onnx(load_reader(str(exported)), exported)
    assert {file.name: file.stat().st_mtime_ns for file in (exported / "onnx").iterdir()} == before


@pytest.mark.parametrize(
    "family", ["distilbert", *(pytest.param(name, marks=pytest.mark.slow) for name in ("roberta", "modernbert"))]
)
def test_other_families_export(family, tmp_path):
    reader = load_reader(str(saved(tmp_path, family)))
    trace_model(reader, tmp_path / "model.onnx")
    inputs = {name: torch.ones(3, 41, dtype=torch.int64) for name in reader.input_names}
    arrays = {name: one.numpy() for name, one in inputs.items()}
    inputs["input_ids"] += 5
    with torch.inference_mode():
        torch.testing.assert_close(
            torch.from_numpy(OnnxModel(tmp_path / "model.onnx")(**arrays).start_logits),
            reader.model(**inputs).start_logits,
            atol=1e-4,
            rtol=1e-3,
        )
