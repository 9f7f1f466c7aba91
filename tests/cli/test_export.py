"""`qa export`: ONNX files beside a model or elsewhere, compared with it."""

import json

from qa.cli.main import main
from qa.inference.comparison import TOLERANCE
from qa.inference.predictor import Predictor
from tests.support.predictors import saved


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


def test_the_command_shows_a_line_for_each_backend(capsys, tmp_path):
    folder = saved(tmp_path / "model")
    assert main(["export", str(folder), "--max-examples", "4"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("torch", "onnx", "onnx_int8", str(folder / "onnx" / "model_int8.onnx")))


def test_the_command_needs_a_folder_to_write_to(capsys):
    assert main(["export", "someone/reader"]) == 2
    assert "wanted a folder, or --out FOLDER" in capsys.readouterr().err
