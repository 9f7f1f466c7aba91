"""Several processes, really started: the same scores, predictions and files, and the same course of training."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from qa.run_folder.curves import read_history
from qa.run_folder.paths import RunPaths
from tests.support import tiny, zoo
from tests.support.rows import write

pytestmark = [pytest.mark.processes, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
LAUNCH = [str(Path(sys.executable).parent / "accelerate"), "launch", "--config_file"]
WINDOWS = ["--features.max-length", "96", "--features.doc-stride", "24", "--features.max-question-length", "24"]
RESULTS = ("metrics.json", "predictions.json", "nbest_predictions.json", "null_odds.json")
WITHOUT_GRADIENT = ("key.bias", "qa_outputs.bias", "layer.1.output.LayerNorm.bias")
"""They shift all tokens alike, which no softmax sees; what AdamW makes of the noise in their gradients is arbitrary."""
LOSS = re.compile(r"step (\d+)/\d+ .*loss ([\d.]+)")


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """Without dropout, so that ways of cutting a global batch can be compared."""
    nothing_dropped = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return tiny.save_reader(tmp_path_factory.mktemp("reader"), "bert", **nothing_dropped)


def launch(folder, reader, *flags, processes, config="cpu_2_processes.yaml", launcher=()):
    command = [*LAUNCH, f"accelerate_configs/{config}", "--num_processes", str(processes), "--main_process_port", "0"]
    command += launcher
    command += ["train_qa.py", "--model", str(reader), "--output-dir", str(folder), "--tracking.report-to", "none"]
    command += ["--features.cache-dir", str(folder.parent / "cache"), *WINDOWS, *flags]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def finished(folder, reader, *flags, processes, config="cpu_2_processes.yaml", launcher=()):
    done = launch(folder, reader, *flags, processes=processes, config=config, launcher=launcher)
    assert done.returncode == 0, done.stderr
    seen = json.loads((folder / "environment.json").read_text())
    assert seen["processes"] == processes
    return done


def test_scores_predictions_and_files_are_equal_for_1_2_and_3_processes(tmp_path, reader):
    """With a number of features that none of 2, 3 and the batch size divides, and further sets, one of one example."""
    flags = ["--training.max-steps", "0", "--max-validation-examples", "41", "--decoding.batch-size", "7"]
    (tmp_path / "one.jsonl").write_text(json.dumps(tiny.sample_rows("validation")[0]))
    flags += ["--more-validation-data", f"train={ROOT}/qa/sample/train.json", f"one={tmp_path}/one.jsonl"]
    for processes in (1, 2, 3):
        finished(tmp_path / str(processes), reader, *flags, processes=processes)
    scores = json.loads((tmp_path / "2" / "metrics.json").read_text())
    assert scores["train/total"] == 41
    assert "one/f1" in scores
    for name in RESULTS:
        one, two, three = ((tmp_path / str(processes) / name).read_bytes() for processes in (1, 2, 3))
        assert one == two == three, name


def test_2_processes_train_as_1_with_the_same_global_batch(tmp_path, reader):
    """2 × batch 8 = 1 × batch 16 = 1 × batch 8 × 2 accumulation steps, within 1e-3 of the loss and 1e-4 of weights.

    Nothing of how the model is wrapped is deprecated.
    """
    steps = ["--training.max-steps", "6", "--training.log-every", "1", "--training.learning-rate", "1e-3"]
    steps += ["--max-train-examples", "60", "--max-validation-examples", "5"]
    ways = {
        "2x8": (["--training.batch-size", "8"], 2),
        "1x16": (["--training.batch-size", "16"], 1),
        "1x8x2": (["--training.batch-size", "8", "--training.accumulation-steps", "2"], 1),
    }
    curves, weights = {}, {}
    for name, (flags, processes) in ways.items():
        done = finished(tmp_path / name, reader, *steps, *flags, processes=processes)
        assert "deprecated" not in done.stderr
        curves[name] = {int(step): float(loss) for step, loss in LOSS.findall(done.stderr)}
        weights[name] = load_file(tmp_path / name / "checkpoints" / "step-00000006" / "model.safetensors")
        intervals = [line for line in read_history(tmp_path / name / "history.jsonl") if "train/loss" in line]
        slowest = {line.get("train/slowest_process") for line in intervals}
        assert slowest <= ({0, 1} if processes == 2 else {None}), "which process the others waited for"
    assert list(curves["1x16"]) == [1, 2, 3, 4, 5, 6]
    for name in ("2x8", "1x8x2"):
        assert curves[name] == pytest.approx(curves["1x16"], abs=1e-3)
        for key, value in weights["1x16"].items():
            if not key.endswith(WITHOUT_GRADIENT):
                torch.testing.assert_close(weights[name][key], value, atol=1e-4, rtol=0, msg=f"{name} {key}")


def test_tokens_have_the_same_answers_for_1_and_2_processes(tmp_path, reader):
    flags = ["--training.max-steps", "0", "--head", "tokens", "--data.answers", "all", "--features.max-length", "96"]
    flags += ["--max-validation-examples", "9"]
    for processes in (1, 2):
        finished(tmp_path / str(processes), reader, *flags, processes=processes)
    for name in (*RESULTS, "all_answers.json"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes(), name


LISTS = ("--head", "tokens", "--data.answers", "all")


@pytest.mark.parametrize("kind", ["spans", "conditional", "tokens", "teacher", "lora"])
def test_a_run_of_2_processes_resumes_exactly(kind, tmp_path):
    """Dropout on, accumulation, stopped inside an epoch; the teacher has another tokenizer."""
    if kind == "lora":
        pytest.importorskip("peft", reason="trains low-rank matrices: pip install 'extractive-qa[lora]'")
    reader, teacher = tiny.save_reader(tmp_path / "reader", "bert"), tiny.save_reader(tmp_path / "teacher", "roberta")
    flags = ["--training.batch-size", "2", "--training.accumulation-steps", "2", "--training.max-steps", "6"]
    flags += ["--training.save-every", "4", "--training.keep-last", "9", "--max-validation-examples", "5"]
    flags += ["--max-train-examples", "30"]
    recipes = {"spans": [], "conditional": ["--head", "conditional"], "tokens": LISTS}
    flags += (recipes | {"teacher": ["--recipe.teacher", str(teacher)], "lora": ["--recipe.lora-rank", "2"]})[kind]
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    finished(whole, reader, *flags, processes=2)
    shutil.copytree(whole / "checkpoints" / "step-00000004", stopped / "checkpoints" / "step-00000004")
    finished(stopped, reader, *flags, "--resume", processes=2)
    for file in ("model.safetensors", "optimizer.safetensors"):
        one, two = (load_file(folder / "checkpoints" / "step-00000006" / file) for folder in (whole, stopped))
        assert all(torch.equal(one[name], two[name]) for name in one), file
    for name in RESULTS:
        assert (whole / name).read_bytes() == (stopped / name).read_bytes(), name


def test_a_model_with_parameters_that_no_logit_depends_on_trains(tmp_path):
    """And a profile, which one process writes."""
    reader = tiny.save_reader(tmp_path / "reader", "xlnet")
    flags = ["--training.batch-size", "2", "--training.max-steps", "8", "--max-validation-examples", "3"]
    finished(tmp_path / "run", reader, *flags, "--max-train-examples", "30", "--training.profile", processes=2)
    assert json.loads(RunPaths(tmp_path / "run").trace.read_text())["traceEvents"]


@pytest.mark.parametrize("kind", ["funnel", "convbert"])
def test_a_model_that_has_to_be_asked_by_a_real_window_trains(kind, tmp_path):
    """Funnel pools tokens in pairs, so that a window of two is none."""
    reader = zoo.save(tmp_path / "reader", kind)
    flags = ["--training.max-steps", "1", "--max-train-examples", "4", "--max-validation-examples", "2"]
    finished(tmp_path / "run", reader, *flags, processes=2)
    assert (tmp_path / "run" / "metrics.json").is_file()


def test_errors_end_all_processes_with_the_cause_on_screen(tmp_path, reader):
    done = launch(tmp_path / "run", reader, "--train-data", str(tmp_path / "none.json"), processes=2)
    assert done.returncode != 0
    assert "none.json" in done.stderr


def test_the_cpu_configuration_runs_one_process(tmp_path, reader):
    flags = ["--training.max-steps", "0", "--max-validation-examples", "3"]
    finished(tmp_path / "run", reader, *flags, processes=1, config="cpu.yaml")


@pytest.mark.parametrize("engine", [(), ("--engine", "local")])
def test_2_processes_write_the_predictions_of_1(engine, tmp_path, reader):
    """Also on standard output, whatever process a group of examples is answered by."""
    rows = [
        {"id": str(at), "question": f"Which number has the word {at}?", "context": f"The word {at} has {at * 7}. "}
        for at in range(700)
    ]
    write(tmp_path / "rows.jsonl", rows)
    for processes in (1, 2):
        command = [*LAUNCH, "accelerate_configs/cpu_2_processes.yaml", "--num_processes", str(processes)]
        command += ["--main_process_port", "0", "-m", "qa", "predict", str(reader), str(tmp_path / "rows.jsonl")]
        out = tmp_path / str(processes)
        done = subprocess.run([*command, str(out), *engine], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("700") == 1
    one, two = (sorted((tmp_path / name).rglob("part-*")) or [tmp_path / name] for name in "12")
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]
    assert sum(len(path.read_bytes().splitlines()) for path in one) == 700
