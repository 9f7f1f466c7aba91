"""What only a GPU shows: fp16 and its loss scale, bf16, compiled models and several GPUs, all really launched.

python -m pytest -m gpu
"""

import json

import pytest
import torch
from safetensors.torch import load_file

from tests.support import tiny
from tests.whole_runs.test_processes import LOSS, finished

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.processes,
    pytest.mark.slow,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

FLAGS = ["--training.max-steps", "8", "--training.log-every", "1", "--training.save-every", "4"]
FLAGS += ["--training.keep-last", "9", "--max-train-examples", "200", "--max-validation-examples", "40"]
FLAGS += ["--training.learning-rate", "1e-3"]
CLOSE = {"no": 1e-3, "fp16": 0.03, "bf16": 0.1}
"""Largest difference of a step's loss from a CPU's in fp32, whose losses are about 5."""


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    calm = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return tiny.save_reader(tmp_path_factory.mktemp("reader"), "bert", **calm)


def run(folder, reader, *flags, config="single_gpu_fp16.yaml", processes=1, launcher=()):
    """The loss of every step."""
    done = finished(folder, reader, *FLAGS, *flags, processes=processes, config=config, launcher=launcher)
    return {int(step): float(loss) for step, loss in LOSS.findall(done.stderr)}


def environment(folder):
    return json.loads((folder / "environment.json").read_text())


def state(folder, step):
    return json.loads((folder / "checkpoints" / f"step-{step:08d}" / "state.json").read_text())


@pytest.fixture(scope="module")
def wanted(tmp_path_factory, reader):
    """The losses of a CPU."""
    return run(tmp_path_factory.mktemp("cpu") / "run", reader, config="cpu.yaml")


@pytest.mark.parametrize("precision", ["no", "fp16", "bf16"])
def test_losses_are_those_of_a_cpu(precision, tmp_path, reader, wanted):
    losses = run(tmp_path / "run", reader, launcher=["--mixed_precision", precision])
    assert environment(tmp_path / "run")["mixed_precision"] == precision
    assert environment(tmp_path / "run")["device"] == "cuda"
    assert losses == pytest.approx(wanted, abs=CLOSE[precision])


def test_an_fp16_run_resumes_with_its_loss_scale(tmp_path, reader):
    """Weights are compared within the noise of a GPU's sums, whose order is not fixed."""
    whole, continued = tmp_path / "whole", tmp_path / "continued"
    run(whole, reader)
    assert state(whole, 4)["scaler"]["scale"] > 1
    checkpoint = whole / "checkpoints" / "step-00000004"
    run(continued, reader, "--resume", str(checkpoint))
    assert state(continued, 8)["scaler"] == state(whole, 8)["scaler"]
    assert state(continued, 8)["progress"]["step"] == 8
    one, two = (
        load_file(folder / "checkpoints" / "step-00000008" / "model.safetensors") for folder in (whole, continued)
    )
    for name in one:
        torch.testing.assert_close(one[name], two[name], atol=2e-3, rtol=0, msg=name)


@pytest.mark.parametrize("mode", ["default", "reduce-overhead"])
def test_a_compiled_model_trains_as_a_plain_one(mode, tmp_path, reader, wanted):
    flags = ["--training.compile", "--training.compile-mode", mode]
    losses = run(tmp_path / "run", reader, *flags, launcher=["--mixed_precision", "no"])
    assert losses == pytest.approx(wanted, abs=CLOSE["no"])


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
def test_two_gpus_train_and_score_as_one(tmp_path, reader, wanted):
    flags = ["--training.batch-size", "8"]
    launcher = ["--mixed_precision", "no"]
    losses = run(tmp_path / "run", reader, *flags, config="multi_gpu_bf16.yaml", processes=2, launcher=launcher)
    assert losses == pytest.approx(wanted, abs=CLOSE["no"])
