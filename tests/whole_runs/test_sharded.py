"""Sharded models as `accelerate_configs/` has them, on CPUs: they train and answer as whole models do.

accelerate shards on accelerators only. Here each process is told after the start that it shards.
"""

import json
import multiprocessing
import shutil
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from qa.modeling.structure import layer_names
from tests.support import faults, tiny, zoo
from tests.support.attempts import ROOT, Attempt, finish
from tests.support.checkpoints import names

RESULTS = ("metrics.json", "predictions.json", "nbest_predictions.json", "null_odds.json")
FLAGS = ["--training.max-steps", "3", "--training.batch-size", "3", "--training.accumulation-steps", "2"]
FLAGS += ["--training.learning-rate", "1e-3", "--training.save-every", "1", "--training.keep-last", "9"]
FLAGS += ["--training.adam-epsilon", "1e-3"]  # else biases that no softmax sees follow the noise of their gradients
DEEPSPEED = Path(sys.prefix) / "deepspeed"
BUILD = 900.0  # seconds: DeepSpeed's first run on a machine compiles its exchange in C++, minutes on a busy one
EVALUATE = ["--training.max-steps", "0"]


def fsdp(**others):
    return partial(faults.sharded_by_fsdp, faults.fsdp_settings(**others))


def deepspeed():
    settings = yaml.safe_load((ROOT / "accelerate_configs" / "deepspeed_zero2.yaml").read_text())
    return partial(faults.sharded_by_deepspeed, settings["deepspeed_config"])


def run(folder, reader, *flags, before=None, kind="MULTI_CPU", **options):
    finish(folder, reader, *flags, processes=2, before=before, **options)
    environment = json.loads((folder / "environment.json").read_text())
    assert (environment["processes"], environment["distributed_type"]) == (2, kind)
    return folder


def progress(folder):
    return json.loads((folder / "checkpoints" / "step-00000003" / "state.json").read_text())["progress"]


def assert_same_end(one, two, *, within):
    weights = [load_file(folder / "model" / "model.safetensors") for folder in (one, two)]
    assert weights[0].keys() == weights[1].keys()
    for name, value in weights[0].items():
        torch.testing.assert_close(value, weights[1][name], rtol=0, atol=within, msg=name)
    for name in ("predictions.json",) if within else RESULTS:
        assert (one / name).read_bytes() == (two / name).read_bytes(), name


@pytest.mark.processes
@pytest.mark.slow
@pytest.mark.parametrize(("family", "saved"), [("bert", "SHARDED_STATE_DICT"), ("distilbert", "FULL_STATE_DICT")])
def test_fsdp_trains_resumes_and_answers_as_whole_models_do(family, saved, tmp_path):
    reader, before = tiny.save_reader(tmp_path / "reader", family), fsdp(fsdp_state_dict_type=saved)
    whole = run(tmp_path / "whole", reader, *FLAGS)
    sharded = run(tmp_path / "sharded", reader, *FLAGS, before=before, kind="FSDP")
    assert_same_end(sharded, whole, within=1e-5)
    stopped = tmp_path / "stopped"
    shutil.copytree(sharded / "checkpoints" / "step-00000001", stopped / "checkpoints" / "step-00000001")
    run(stopped, reader, *FLAGS, "--resume", before=before, kind="FSDP")
    assert_same_end(stopped, sharded, within=0)
    asked = run(tmp_path / "asked", sharded / "model", *EVALUATE, before=before, kind="FSDP")
    assert (asked / "nbest_predictions.json").read_bytes() == (sharded / "nbest_predictions.json").read_bytes()


@pytest.mark.processes
@pytest.mark.slow
def test_fsdp_goes_on_from_its_shards_after_a_kill_while_it_writes_and_at_any_number_of_processes(tmp_path):
    """Of two processes that are killed; of as many; of one that shards nothing, and of three."""
    calm = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}  # dropout is another on each process
    reader = tiny.save_reader(tmp_path / "reader", "bert", **calm)
    flags = [*FLAGS, "--recipe.averaging", "ema"]
    whole = run(tmp_path / "whole", reader, *flags, before=fsdp(), kind="FSDP")
    sizes = [part.stat().st_size for part in (whole / "checkpoints" / "step-00000003").glob("*.safetensors")]
    assert len(sizes) == 2
    assert max(sizes) < 0.6 * sum(sizes)
    killed = tmp_path / "killed"
    before = partial(faults.then, fsdp(), faults.stuck_second_save)
    attempt = Attempt(killed, reader, *flags, processes=2, before=before)
    attempt.wait_for("writing step-00000002")
    attempt.kill()
    assert names(killed / "checkpoints") == [".step-00000002.part", "step-00000001"]
    others = {"one": ("6", {}), "three": ("2", {"processes": 3, "before": fsdp()})}
    for name in others:
        shutil.copytree(killed / "checkpoints" / "step-00000001", tmp_path / name / "checkpoints" / "step-00000001")
    run(killed, reader, *flags, "--resume", before=fsdp(), kind="FSDP")
    assert_same_end(killed, whole, within=0)
    for name, (batch, options) in others.items():
        finish(tmp_path / name, reader, *flags, "--resume", "--training.batch-size", batch, **options)
        assert_same_end(tmp_path / name, whole, within=1e-5)
        assert progress(tmp_path / name)["evaluated"] == progress(whole)["evaluated"]


@pytest.mark.processes
@pytest.mark.slow
@pytest.mark.skipif(not DEEPSPEED.is_dir(), reason="DeepSpeed is installed apart, in .venv/deepspeed, by `make`")
def test_deepspeed_trains_resumes_and_answers_as_whole_models_do(tmp_path, monkeypatch):
    reader = tiny.save_reader(tmp_path / "reader", "bert")

    def sharded_run(name, *flags, reader=reader):
        with monkeypatch.context() as changed:
            changed.setenv("DS_ACCELERATOR", "cpu")
            changed.syspath_prepend(DEEPSPEED)  # what spawned processes begin with
            spawn = multiprocessing.get_context("spawn")
            start = {"before": deepspeed(), "kind": "DEEPSPEED", "start": spawn, "within": BUILD}
            return run(tmp_path / name, reader, *flags, **start)

    for name, clipping in (("clipped", "0.1"), ("unclipped", "None")):
        flags = [*FLAGS, "--training.max-gradient-norm", clipping]
        whole = run(tmp_path / f"whole-{name}", reader, *flags)
        sharded = sharded_run(name, *flags)
        assert_same_end(sharded, whole, within=1e-4)
    stopped = tmp_path / "stopped"
    shutil.copytree(sharded / "checkpoints" / "step-00000001", stopped / "checkpoints" / "step-00000001")
    assert_same_end(sharded_run("stopped", *flags, "--resume"), sharded, within=0)
    asked = sharded_run("asked", *EVALUATE, reader=sharded / "model")
    assert (asked / "nbest_predictions.json").read_bytes() == (sharded / "nbest_predictions.json").read_bytes()


@pytest.mark.parametrize(
    ("family", "layer"),
    [
        ("bert", "BertLayer"),
        ("distilbert", "TransformerBlock"),
        ("roberta", "RobertaLayer"),
        ("modernbert", "ModernBertEncoderLayer"),
        ("xlnet", "XLNetLayer"),
        ("deberta-v2", "DebertaV2Layer"),
    ],
)
def test_layers_are_found_by_their_class(family, layer):
    assert layer_names(tiny.model(family)) == [layer]


@pytest.mark.parametrize(("kind", "layer"), [("funnel", "FunnelLayer"), ("mobilebert", "MobileBertLayer")])
def test_layers_are_whole_whatever_has_lists_of_them_or_they_have_lists_of(kind, layer):
    """Lists of layers in lists, which no process could share; lists of parts of a layer."""
    assert layer_names(zoo.model(kind)) == [layer]
