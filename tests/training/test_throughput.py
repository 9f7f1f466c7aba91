"""Counted operations are those that torch counts, and the rates that they are compared with are sensible."""

import contextlib
import dataclasses
import itertools

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch.utils.flop_counter import FlopCounterMode
from transformers import CONFIG_MAPPING, AutoModelForQuestionAnswering
from transformers.models.auto.modeling_auto import MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES

from qa.training import throughput
from qa.training.progress import StepReport
from qa.training.throughput import (
    PeakRate,
    TrainingFlops,
    interval_values,
    measured_matmul_rate,
    peak_flops,
    published_rate,
)
from tests.support import tiny
from tests.support.tracking import report as tracked
from tests.support.trainers import loop_for

SMALL = {
    **dict.fromkeys(("hidden_size", "dim", "d_model", "n_embd", "embedding_size"), 32),
    **dict.fromkeys(("num_hidden_layers", "n_layers", "n_layer", "num_layers", "encoder_layers", "decoder_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "n_heads", "n_head", "num_heads", "num_key_value_heads"), 2),
    **dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 2),
    **dict.fromkeys(("intermediate_size", "hidden_dim", "d_inner", "d_ff", "encoder_ffn_dim", "decoder_ffn_dim"), 64),
    **dict.fromkeys(("head_dim", "d_kv"), 16),
    **dict.fromkeys(("max_position_embeddings", "n_positions"), 512),
    "vocab_size": 100,
}
"""What the library's configurations call their sizes."""
COUNTED = {"albert", "bert", "camembert", "distilbert", "electra", "mobilebert", "modernbert", "mpnet", "roberta"}


def small_model(kind):
    """A model of one of the library's types, small; None where the type wants sizes or packages of its own."""
    config = CONFIG_MAPPING[kind]()
    for name in SMALL.keys() & vars(config).keys():
        setattr(config, name, SMALL[name])
    config.pad_token_id = 0
    with contextlib.suppress(ImportError, ValueError):
        return AutoModelForQuestionAnswering.from_config(config).eval()


def torch_s_own_count(model, texts, tokens):
    model.set_attn_implementation("eager")
    with FlopCounterMode(display=False) as counter:
        inputs = torch.full((texts, tokens), 7)
        output = model(input_ids=inputs, attention_mask=torch.ones_like(inputs))
        (output.start_logits.sum() + output.end_logits.sum()).backward()
    return counter.get_total_flops()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the library's, about sizes that no published model has
@pytest.mark.parametrize("kind", sorted(MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES))
def test_a_model_s_count_is_torch_s_own_or_there_is_none(kind):
    """Over all model types: a wrong utilisation misleads, none does not."""
    model = small_model(kind)
    flops = TrainingFlops.of(model, longest=64) if model is not None else TrainingFlops()
    if kind in COUNTED:
        assert flops.per_token > 0
    if flops.per_token > 0:
        assert flops.of_texts(np.full(3, 24)) == pytest.approx(torch_s_own_count(model, 3, 24), rel=1e-3)


@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta"])
def test_count_of_texts_without_padding_is_torch_s_own(family):
    model = tiny.model(family)
    assert TrainingFlops.of(model, longest=64).of_texts(np.full(3, 24)) == torch_s_own_count(model, 3, 24)


def test_padding_does_not_count_and_pairs_grow_with_the_square():
    flops = TrainingFlops(per_token=10.0, per_pair=1.0)
    assert flops.of_texts(np.array([3, 5], dtype=np.int32)) == 10 * 8 + 9 + 25
    assert flops.of_texts(np.empty(0, dtype=np.int32)) == 0


def test_square_of_a_long_text_does_not_overflow_small_integers():
    assert TrainingFlops(per_pair=1.0).of_texts(np.array([60_000], dtype=np.int32)) == 3.6e9


@pytest.mark.parametrize(
    ("name", "half", "single"),
    [
        ("NVIDIA A100-SXM4-80GB", 312e12, 19.5e12),
        ("NVIDIA H100 80GB HBM3", 989e12, 67e12),
        ("NVIDIA H100 PCIe", 756e12, 51e12),
        ("NVIDIA H200", 989e12, 67e12),
        ("NVIDIA L4", 121e12, 30.3e12),
        ("NVIDIA L40S", 362e12, 91.6e12),
        ("Tesla T4", 65e12, 8.1e12),
        ("Tesla V100-SXM2-16GB", 125e12, 15.7e12),
        ("NVIDIA GeForce RTX 4090", 165e12, 82.6e12),
    ],
)
def test_published_rates_by_name(name, half, single):
    assert published_rate(name, torch.bfloat16) == published_rate(name, torch.float16) == half
    assert published_rate(name, torch.float32) == single


@pytest.mark.parametrize(
    "name",
    [
        "Voodoo 2",
        "NVIDIA L40",
        "NVIDIA A10G",
        "NVIDIA RTX A1000",
        "NVIDIA GH200 480GB",
        "NVIDIA H100 NVL",
        "NVIDIA GeForce RTX 3090 Ti",
        "NVIDIA GeForce RTX 4090 Laptop GPU",
    ],
)
def test_an_unknown_device_has_no_rate(name):
    assert published_rate(name, torch.float32) is None


def test_a_device_of_another_kind_has_no_rate():
    assert peak_flops(torch.device("meta"), torch.float32) is None


@pytest.mark.parametrize(("device", "rate"), [("NVIDIA A100-SXM4-80GB", 156e12), ("GeForce 9999", None)])
def test_float32_that_is_shortened_to_tf32_has_half_the_rate_of_half_precision(device, rate, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: device)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("high")
        assert peak_flops(torch.device("cuda"), torch.float32) == rate
    finally:
        torch.set_float32_matmul_precision(before)


def test_the_cpu_is_measured():
    assert 1e8 < measured_matmul_rate(torch.float32) < 1e14
    assert peak_flops(torch.device("cpu"), torch.float32) > 1e8


# --- in a run ---


@pytest.mark.usefixtures("fresh_accelerator")
def test_steps_report_what_their_features_cost():
    plain = loop_for()
    loop = loop_for()
    loop.plan = dataclasses.replace(loop.plan, flops=TrainingFlops(per_token=2.0, per_pair=1.0))
    counted = sum(report.flops for report in loop.steps())
    lengths = plain.features.lengths.astype(np.float64)
    epochs = plain.plan.total_steps / plain.plan.steps_per_epoch
    assert counted == epochs * (2 * lengths + lengths**2).sum()
    assert PeakRate(loop.accelerator).flops > 1e8


def report(flops):
    counts = dict.fromkeys(("number", "features", "tokens", "padded_tokens", "overflows"), 1)
    values = dict.fromkeys(("epoch", "loss", "learning_rate", "gradient_norm"), 1.0)
    due = dict.fromkeys(("ends_epoch", "evaluation_due", "save_due"), False)
    return StepReport(**counts, **values, **due, seconds=2.0, flops=flops)


@pytest.fixture
def peak_of(monkeypatch):
    """A peak that is found to be each of the given rates in turn."""

    def made(*rates):
        found = itertools.chain(rates, itertools.repeat(rates[-1]))
        monkeypatch.setattr(throughput, "peak_flops", lambda *_: next(found))
        return PeakRate(Accelerator(cpu=True))

    return made


@pytest.mark.usefixtures("fresh_accelerator")
def test_utilisation_is_the_share_of_the_peak(peak_of):
    assert interval_values([report(30.0), report(10.0)], peak_of(100.0))["mfu"] == 0.1


@pytest.mark.usefixtures("fresh_accelerator")
@pytest.mark.parametrize(("flops", "peak"), [(30.0, None), (0.0, 100.0)])
def test_nothing_is_told_of_an_unknown_peak_or_an_uncounted_model(flops, peak, peak_of):
    assert "mfu" not in interval_values([report(flops)], peak_of(peak))


@pytest.mark.usefixtures("fresh_accelerator")
def test_a_busy_moment_does_not_make_the_peak(peak_of):
    """The best of several moments counts; a machine that is faster than ever measured is at its peak."""
    peak = peak_of(10.0, 80.0, 40.0)
    assert peak.share(40.0) == 0.5
    assert peak.share(200.0) == 1.0
    assert peak.share(100.0) == 0.5


@pytest.mark.usefixtures("fresh_accelerator")
def test_the_peak_is_looked_at_again_during_a_run(peak_of, monkeypatch):
    monkeypatch.setattr(throughput, "AGAIN_SECONDS", -1.0)
    assert peak_of(10.0, 10.0, 10.0, 50.0).share(5.0) == 0.1


def test_interval_is_summarised_by_features_and_seconds():
    values = interval_values(
        [
            tracked(1, features=1, loss=4.0, seconds=1.0, waited=0.5),
            tracked(2, features=3, loss=8.0, seconds=3.0, waited=0.5, overflows=2),
        ]
    )
    assert values["loss"] == 7.0
    assert values["data_wait_share"] == 0.25
    assert values["examples_per_second"] == 1.0
    assert values["tokens_per_second"] == 150.0
    assert values["padding_share"] == 0.25
    assert values["learning_rate"] == 2e-3
    assert values["overflows"] == 2


def test_the_slowest_process_is_told_with_how_slow_it_is():
    """Against the median: over three processes and two steps 3, 4 and 8 seconds."""
    values = interval_values([tracked(1, own_seconds=[1.0, 2.0, 6.0]), tracked(2, own_seconds=[2.0, 2.0, 2.0])])
    assert (values["slowest_process"], values["slowest_to_median"]) == (2, 2.0)


@pytest.mark.parametrize("seconds", [(), [3.0], [0.0, 0.0]])
def test_no_process_is_the_slowest_of_one_or_where_nothing_was_measured(seconds):
    assert "slowest_process" not in interval_values([tracked(1, own_seconds=seconds)])


def test_steps_of_before_a_resumption_by_other_processes_tell_nothing_of_these():
    values = interval_values([tracked(1, own_seconds=[9.0]), tracked(2, own_seconds=[1.0, 3.0])])
    assert (values["slowest_process"], values["slowest_to_median"]) == (1, 1.5)
