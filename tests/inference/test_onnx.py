"""A reader that onnxruntime runs: what its file can do, needs and holds."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from qa.config import DataConfig
from qa.data.examples import load_examples, take
from qa.errors import ConfigError, ModelError
from qa.inference import onnx
from qa.inference.onnx import ONNX_FILES, OnnxModel
from qa.inference.predictor import Predictor
from qa.modeling.reader import load_reader
from tests.support import tiny
from tests.support.predictors import saved


def examples(count=12):
    return take(load_examples("sample", split="validation", config=DataConfig()), count)


def test_files_take_any_batch_and_length_and_give_the_models_logits(exported):
    reader = load_reader(str(exported))
    file = OnnxModel(exported / ONNX_FILES["onnx"])
    for rows, tokens in ((1, 7), (1, 96), (5, 33), (3, tiny.POSITIONS)):
        inputs = {name: torch.ones(rows, tokens, dtype=torch.int64) for name in reader.input_names}
        inputs["attention_mask"][-1, tokens // 2 :] = 0
        with torch.inference_mode():
            expected, found = reader.model(**inputs), file(**{name: one.numpy() for name, one in inputs.items()})
        kept = inputs["attention_mask"].bool()
        for name in ("start_logits", "end_logits"):
            torch.testing.assert_close(
                torch.from_numpy(getattr(found, name))[kept], getattr(expected, name)[kept], atol=1e-5, rtol=1e-4
            )


def test_no_pattern_of_memory_is_kept_for_each_shape(exported):
    """Up to a third of the memory, which grows with every shape that was not there before."""
    model = OnnxModel(exported / ONNX_FILES["onnx_int8"])
    assert model._session.loaded.get_session_options().enable_mem_pattern is False


@pytest.fixture
def loads(monkeypatch):
    """The threads of each session that is loaded."""
    found, load = [], onnx._load

    def counted(path, content, *, threads):
        found.append(threads)
        return load(path, content, threads=threads)

    monkeypatch.setattr(onnx, "_load", counted)
    return found


@pytest.mark.parametrize("backend", ["onnx", "onnx_int8"])
def test_batches_side_by_side_have_the_outputs_that_they_have_in_turn(exported, backend, loads, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    file = OnnxModel(exported / ONNX_FILES[backend])
    chosen = np.random.default_rng(0)
    batches = [
        {name: np.ones((1, tokens), dtype=np.int64) for name in file.input_names}
        | {"input_ids": chosen.integers(5, 50, (1, tokens))}
        for tokens in (7, 64, 9, 33, 20, 12)
    ]
    wanted = [file(**one) for one in batches]
    assert loads == [2]
    for count, loaded in ((1, [2]), (2, [2, 1]), (6, [2, 1])):
        found = file.run_each(batches[:count])
        assert loads == loaded
        assert len(found) == count
        for one, other in zip(found, wanted, strict=False):
            np.testing.assert_array_equal(one.start_logits, other.start_logits)
            np.testing.assert_array_equal(one.end_logits, other.end_logits)


@pytest.mark.parametrize(("threads", "why"), [("1", ""), ("2", "gone"), ("2", "large"), ("2", "in two files")])
def test_batches_run_in_turn_where_there_is_no_second_session(exported, threads, why, loads, monkeypatch, tmp_path):
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    path = Path(shutil.copy(exported / ONNX_FILES["onnx_int8"], tmp_path / "file.onnx"))
    file = OnnxModel(path)
    if why == "gone":
        path.unlink()
    elif why == "large":
        monkeypatch.setattr(onnx, "_TWICE", path.stat().st_size - 1)
    elif why:
        (tmp_path / "file.onnx.data").touch()
    batch = {name: np.ones((1, 8), dtype=np.int64) for name in file.input_names}
    assert len(file.run_each([batch] * 4)) == 4
    assert loads == [int(threads)]


def test_what_a_batch_beside_others_does_not_take_is_said(exported, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    file = OnnxModel(exported / ONNX_FILES["onnx_int8"])
    fits, too_long = ({name: np.ones((1, n), dtype=np.int64) for name in file.input_names} for n in (8, 4096))
    with pytest.raises(ModelError, match=r"does not take a batch of \(1, 4096\)"):
        file.run_each([fits, too_long, fits])


def test_the_file_needs_no_weights(exported, tmp_path):
    for file in exported.iterdir():
        if file.suffix != ".safetensors":
            (tmp_path / file.name).symlink_to(file)
    found = Predictor.from_pretrained(tmp_path, backend="onnx")
    assert found(question="Who?", context="The Amazon was named by Orellana.").keys() >= {"answer", "score"}


def test_what_an_onnx_file_cannot_do_is_said(exported, tmp_path):
    for device in ("cuda", "gpu7", 0):
        with pytest.raises(ConfigError, match=f"device is {device!r}; an ONNX file runs on the cpu"):
            Predictor.from_pretrained(exported, backend="onnx", device=device)
    for dtype in ("bfloat16", "float8_e4m3fn", "int4"):
        with pytest.raises(ConfigError, match=f"dtype is '{dtype}'"):
            Predictor.from_pretrained(exported, backend="onnx", dtype=dtype)
    with pytest.raises(ModelError, match=r"has no onnx/model\.onnx; make it with: qa export"):
        Predictor.from_pretrained(saved(tmp_path), backend="onnx")
    (tmp_path / "onnx").mkdir()
    (tmp_path / ONNX_FILES["onnx"]).write_bytes(b"torn")
    with pytest.raises(ModelError, match="does not load"):
        Predictor.from_pretrained(tmp_path, backend="onnx")


def test_onnxruntime_is_imported_only_when_asked_for():
    code = "import qa.inference.predictor, sys; assert not {'onnxruntime', 'onnx', 'onnxscript'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
