"""ONNX files: any batch and length, the logits and answers of PyTorch, 8-bit weights, the command."""

import json
import subprocess
import sys
from dataclasses import replace

import onnx
import pytest
import torch

from qa.cli.main import main
from qa.config import DataConfig
from qa.data.examples import load_examples, take
from qa.errors import ConfigError, ExportError, ModelError
from qa.inference.comparison import TOLERANCE, compare
from qa.inference.onnx import ONNX_FILES, OnnxModel
from qa.inference.onnx_export import export_onnx, trace_model
from qa.inference.predictor import Predictor
from qa.modeling.reader import load_reader
from tests.support import tiny
from tests.support.predictors import saved

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = saved(tmp_path_factory.mktemp("reader"))
    export_onnx(load_reader(str(path)), path)
    return path


def examples(count=12):
    return take(load_examples("sample", split="validation", config=DataConfig()), count)


def test_files_take_any_batch_and_length_and_give_the_models_logits(folder):
    reader = load_reader(str(folder))
    file = OnnxModel(folder / ONNX_FILES["onnx"])
    for rows, tokens in ((1, 7), (1, 96), (5, 33), (3, tiny.POSITIONS)):
        inputs = {name: torch.ones(rows, tokens, dtype=torch.int64) for name in reader.input_names}
        inputs["attention_mask"][-1, tokens // 2 :] = 0
        with torch.inference_mode():
            expected, found = reader.model(**inputs), file(**inputs)
        kept = inputs["attention_mask"].bool()
        for name in ("start_logits", "end_logits"):
            torch.testing.assert_close(getattr(found, name)[kept], getattr(expected, name)[kept], atol=1e-5, rtol=1e-4)


def test_attention_is_plain_in_the_file_and_as_before_in_the_model(folder):
    """What checks for rows without any token would take half as much time again."""
    reader = load_reader(str(folder))
    before = reader.model.config._attn_implementation
    export_onnx(reader, folder)
    assert reader.model.config._attn_implementation == before == "sdpa"
    kinds = {node.op_type for node in onnx.load(folder / ONNX_FILES["onnx"]).graph.node}
    assert "Softmax" in kinds
    assert "IsNaN" not in kinds


def test_the_predictor_answers_from_the_file_as_from_the_weights(folder):
    asked = [{"question": row["question"], "context": row["context"]} for row in tiny.sample_rows("validation")[:8]]
    wanted = Predictor.from_pretrained(folder, device="cpu")
    for backend in ("onnx", "onnx_int8"):
        found = Predictor.from_pretrained(folder, backend=backend)
        assert found.reader.longest == wanted.reader.longest
        assert found.settings == wanted.settings
        assert len(found(asked, top_k=3)) == len(asked)
    onnx = Predictor.from_pretrained(folder, backend="onnx")
    assert [a["answer"] for a in onnx(asked)] == [a["answer"] for a in wanted(asked)]
    assert [a["score"] for a in onnx(asked)] == pytest.approx([a["score"] for a in wanted(asked)], abs=1e-5)


def test_the_file_needs_no_weights(folder, tmp_path):
    for file in folder.iterdir():
        if file.suffix != ".safetensors":
            (tmp_path / file.name).symlink_to(file)
    found = Predictor.from_pretrained(tmp_path, backend="onnx")
    assert found(question="Who?", context="The Amazon was named by Orellana.").keys() >= {"answer", "score"}


def test_the_comparison_has_a_line_for_each_backend(folder):
    reports = {report.backend: report for report in compare(load_reader(str(folder)), folder, examples())}
    assert list(reports) == ["torch", "onnx", "onnx_int8"]
    assert reports["torch"].logit_difference == 0
    assert reports["onnx"].equal_answers == 100
    assert 0 < reports["onnx"].logit_difference <= TOLERANCE < reports["onnx_int8"].logit_difference
    assert reports["onnx_int8"].megabytes < reports["onnx"].megabytes
    assert reports["onnx"].f1 == reports["torch"].f1
    assert all(report.milliseconds > 0 for report in reports.values())


def test_other_weights_than_the_files_are_an_error(folder):
    other = replace(load_reader(str(folder)), model=tiny.model(seed=1))
    with pytest.raises(ExportError, match="logits of the ONNX file differ by"):
        compare(other, folder, examples(2))


def test_a_failed_export_leaves_the_earlier_files(folder, monkeypatch):
    before = {file.name: file.stat().st_mtime_ns for file in (folder / "onnx").iterdir()}
    monkeypatch.setattr(torch.onnx, "export", lambda *_, **__: (_ for _ in ()).throw(RuntimeError("no such operator")))
    with pytest.raises(ExportError, match="does not become an ONNX file: no such operator"):
        export_onnx(load_reader(str(folder)), folder)
    assert {file.name: file.stat().st_mtime_ns for file in (folder / "onnx").iterdir()} == before


@pytest.mark.parametrize(
    "family", ["distilbert", *(pytest.param(name, marks=pytest.mark.slow) for name in ("roberta", "modernbert"))]
)
def test_other_families_export(family, tmp_path):
    reader = load_reader(str(saved(tmp_path, family)))
    trace_model(reader, tmp_path / "model.onnx")
    inputs = {name: torch.ones(3, 41, dtype=torch.int64) for name in reader.input_names}
    inputs["input_ids"] += 5
    with torch.inference_mode():
        torch.testing.assert_close(
            OnnxModel(tmp_path / "model.onnx")(**inputs).start_logits,
            reader.model(**inputs).start_logits,
            atol=1e-4,
            rtol=1e-3,
        )


def test_what_an_onnx_file_cannot_do_is_said(folder, tmp_path):
    for device in ("cuda", "gpu7", 0):
        with pytest.raises(ConfigError, match=f"device is {device!r}; an ONNX file runs on the cpu"):
            Predictor.from_pretrained(folder, backend="onnx", device=device)
    for dtype in ("bfloat16", "float8_e4m3fn", "int4"):
        with pytest.raises(ConfigError, match=f"dtype is '{dtype}'"):
            Predictor.from_pretrained(folder, backend="onnx", dtype=dtype)
    with pytest.raises(ModelError, match=r"has no onnx/model\.onnx; make it with: qa export"):
        Predictor.from_pretrained(saved(tmp_path), backend="onnx")
    (tmp_path / "onnx").mkdir()
    (tmp_path / ONNX_FILES["onnx"]).write_bytes(b"torn")
    with pytest.raises(ModelError, match="does not load"):
        Predictor.from_pretrained(tmp_path, backend="onnx")


def test_onnxruntime_is_imported_only_when_asked_for():
    code = "import qa.inference.predictor, sys; assert not {'onnxruntime', 'onnx', 'onnxscript'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


# --- the command ---


def test_the_command_exports_into_another_folder_which_then_answers(capsys, tmp_path):
    model, out = saved(tmp_path / "model"), tmp_path / "exported"
    assert main(["export", str(model), "--out", str(out), "--max-examples", "6", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["folder"], found["examples"]) == (str(out), 6)
    backends = {report["backend"]: report for report in found["backends"]}
    assert list(backends) == ["torch", "onnx", "onnx_int8"]
    assert backends["onnx"]["logit_difference"] < TOLERANCE
    assert backends["onnx"]["equal_answers"] == 100
    assert backends["onnx_int8"]["megabytes"] < backends["onnx"]["megabytes"]
    assert not (out / "model.safetensors").exists()
    asked = {"question": "Who named it?", "context": "Francisco de Orellana named it."}
    wanted = Predictor.from_pretrained(model)(**asked)
    assert Predictor.from_pretrained(out, backend="onnx")(**asked)["answer"] == wanted["answer"]


def test_the_command_shows_a_line_for_each_backend(capsys, folder):
    assert main(["export", str(folder), "--max-examples", "4"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("torch", "onnx", "onnx_int8", str(folder / "onnx" / "model_int8.onnx")))


def test_the_command_needs_a_folder_to_write_to(capsys):
    assert main(["export", "someone/reader"]) == 2
    assert "wanted a folder, or --out FOLDER" in capsys.readouterr().err
