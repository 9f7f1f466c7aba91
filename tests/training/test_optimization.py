"""Which parameters decay, and what the learning rate of every step is."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from transformers import get_linear_schedule_with_warmup

from qa.config import TrainingConfig
from qa.modeling.structure import parameter_depths
from qa.training.optimization import build_optimizer, learning_rate, parameter_groups, set_learning_rate
from tests.support import tiny

CPU = torch.device("cpu")


def names_of(model, group):
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {names[id(parameter)] for parameter in group["params"]}


def rates(total, **options):
    config = TrainingConfig(learning_rate=1.0, **options)
    return [learning_rate(step, total=total, config=config) for step in range(total)]


# --- parameter groups ---

NORMS = {
    "bert": "LayerNorm",
    "distilbert": "_layer_norm|LayerNorm",
    "roberta": "LayerNorm",
    "modernbert": "norm",
    "xlnet": "layer_norm",
    "deberta-v2": "LayerNorm",
}


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_every_norm_and_bias_of_every_family_is_undecayed_and_nothing_else(family):
    """The usual list of names, bias and LayerNorm.weight, misses DistilBERT's and ModernBERT's norms."""
    model = tiny.model(family)
    decayed, undecayed = (names_of(model, group) for group in parameter_groups(model, 0.1))
    wanted = {
        name
        for name, _ in model.named_parameters()
        if name.endswith("bias") or any(mark in name for mark in NORMS[family].split("|"))
    }
    assert undecayed == wanted
    assert decayed == {name for name, _ in model.named_parameters()} - wanted
    norms = [module for module in model.modules() if isinstance(module, nn.LayerNorm)]
    assert len(norms) >= 4
    assert len([name for name in wanted if name.endswith("weight")]) >= len(norms)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_every_trainable_parameter_is_there_once(family):
    model = tiny.model(family)
    model.get_input_embeddings().weight.requires_grad_(False)
    groups = parameter_groups(model, 0.1)
    ids = [id(parameter) for group in groups for parameter in group["params"]]
    assert len(ids) == len(set(ids))
    assert set(ids) == {id(parameter) for parameter in model.parameters() if parameter.requires_grad}
    assert [group["weight_decay"] for group in groups] == [0.1, 0.0]


def test_shared_parameter_is_there_once():
    model = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])
    model[1].weight = model[0].weight
    decayed, undecayed = parameter_groups(model, 0.1)
    assert (len(decayed["params"]), len(undecayed["params"])) == (1, 2)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_the_rate_falls_from_layer_to_layer(family):
    model = tiny.model(family)
    depths = parameter_depths(model)
    groups = parameter_groups(model, 0.1, layer_decay=0.5)
    for group in groups:
        assert {0.5 ** depths[name] for name in names_of(model, group)} == {group["rate_factor"]}
    assert len({group["rate_factor"] for group in groups}) == 4
    optimizer = build_optimizer(model, TrainingConfig(learning_rate=1.0), CPU, layer_decay=0.5)
    set_learning_rate(optimizer, 0.25)
    assert [group["lr"] for group in optimizer.param_groups] == [0.25 * group["rate_factor"] for group in groups]


def test_betas_are_as_asked():
    optimizer = build_optimizer(tiny.model(), TrainingConfig(adam_betas=(0.5, 0.75)), CPU)
    assert optimizer.defaults["betas"] == (0.5, 0.75)


def test_warm_up_is_counted_in_steps_or_as_a_share():
    assert rates(10, warmup_steps=4, schedule="constant") == pytest.approx([0.25, 0.5, 0.75, *[1.0] * 7])
    assert rates(10, warmup_ratio=0.4, schedule="constant") == rates(10, warmup_steps=4, schedule="constant")


def test_a_power_of_one_is_the_line_and_the_root_falls_from_the_peak():
    line = rates(20, schedule="polynomial", schedule_power=1.0)
    assert line == rates(20, schedule="linear")
    assert rates(20, schedule="polynomial", schedule_power=2.0)[5:] == pytest.approx([rate**2 for rate in line[5:]])
    root = rates(20, schedule="inverse_sqrt", warmup_steps=4)
    assert root[3:] == pytest.approx([math.sqrt(4 / step) for step in range(4, 21)])


def test_weight_decay_shrinks_only_what_decays():
    model = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))
    config = TrainingConfig(learning_rate=0.1, weight_decay=0.5)
    optimizer = build_optimizer(model, config, CPU)
    before = [parameter.clone() for parameter in model.parameters()]
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    weight, *others = [after / old for after, old in zip(model.parameters(), before, strict=True)]
    torch.testing.assert_close(weight, torch.full((2, 2), 0.95))
    for name, ratio in zip(("bias", "norm"), others[:2], strict=True):
        assert ((ratio == 1) | ratio.isnan()).all(), name


def test_settings_reach_the_optimizer():
    model = nn.Linear(2, 2)
    config = TrainingConfig(adam_epsilon=1e-5, learning_rate=0.25)
    assert build_optimizer(model, config, CPU).defaults["eps"] == 1e-5
    assert build_optimizer(model, config, CPU).defaults["lr"] == 0.25
    assert build_optimizer(model, config, CPU).defaults["fused"] is True
    assert build_optimizer(model, config, torch.device("meta")).defaults["fused"] is False
    assert build_optimizer(model, TrainingConfig(fused=False), CPU).defaults["fused"] is False


def test_learning_rate_is_set_in_all_groups():
    optimizer = build_optimizer(tiny.model(), TrainingConfig(), CPU)
    set_learning_rate(optimizer, 0.125)
    assert [group["lr"] for group in optimizer.param_groups] == [0.125, 0.125]


# --- schedule ---


def test_first_step_of_the_warmup_is_not_wasted_on_a_rate_of_zero():
    assert rates(10, warmup_ratio=0.4)[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]


@given(total=st.integers(1, 400), ratio=st.floats(0, 1), schedule=st.sampled_from(["linear", "cosine", "constant"]))
@settings(max_examples=200, deadline=None)
def test_rate_rises_to_the_peak_and_falls_to_the_end(total, ratio, schedule):
    found = rates(total, warmup_ratio=ratio, schedule=schedule)
    warmup = math.ceil(ratio * total)
    assert all(0 < rate <= 1 for rate in found)
    assert found[:warmup] == sorted(found[:warmup])
    assert found[warmup:] == sorted(found[warmup:], reverse=True)
    assert max(found) == 1.0
    after_the_last = learning_rate(
        total, total=total, config=TrainingConfig(learning_rate=1.0, warmup_ratio=ratio, schedule=schedule)
    )
    assert after_the_last == pytest.approx(1.0 if schedule == "constant" else 0.0, abs=1e-12)


def test_cosine_is_half_way_down_in_the_middle():
    found = rates(100, warmup_ratio=0.0, schedule="cosine")
    assert found[50] == pytest.approx(0.5)
    assert found[25] == pytest.approx((1 + math.cos(math.pi / 4)) / 2)


@pytest.mark.parametrize(("total", "ratio"), [(20, 0.1), (33, 0.3), (7, 0.0), (50, 0.98)])
def test_linear_is_the_libraries_schedule_with_its_warmup_one_step_earlier(total, ratio):
    warmup = math.ceil(ratio * total)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = get_linear_schedule_with_warmup(optimizer, warmup, total)
    theirs = []
    for _ in range(total + 1):
        theirs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    ours = rates(total, warmup_ratio=ratio)
    assert ours[:warmup] == pytest.approx(theirs[1 : warmup + 1])
    assert ours[warmup:] == pytest.approx(theirs[warmup:total])
