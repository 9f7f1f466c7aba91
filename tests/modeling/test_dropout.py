"""Cheap dropout has torch's statistics, gradients and switches; only the source of its masks differs."""

import math

import pytest
import torch
from torch import nn
from transformers import AutoModelForQuestionAnswering

from qa.config import RecipeConfig, TrainingConfig
from qa.modeling.dropout import (
    ATTENTION,
    CheapDropout,
    DroppedAttention,
    attention,
    mask_bias,
    random_bits,
    use_cheap_dropout,
)
from qa.modeling.structure import configure_for_training
from tests.support import tiny

EXAMPLES, HEADS, TOKENS, SIZE = 3, 2, 10, 4
SCALING = 0.7


def dropout(p, *, training=True):
    return CheapDropout(p).train(mode=training)


# --- of elements ---


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.9])
def test_share_of_kept_elements_and_mean_are_those_of_dropout(p):
    torch.manual_seed(0)
    count = 400_000
    output = dropout(p)(torch.ones(count))
    deviation = math.sqrt(p * (1 - p) / count)
    assert abs((output != 0).double().mean() - (1 - p)) < 5 * deviation + 2**-16
    assert abs(output.double().mean() - 1) < 5 * deviation / (1 - p) + 1e-12
    kept = output[output != 0]
    assert torch.allclose(kept, kept[0].expand_as(kept), rtol=0, atol=0)
    assert kept[0].item() == pytest.approx(1 / (1 - p), rel=2e-4)


def test_neighbours_are_dropped_independently():
    torch.manual_seed(0)
    dropped = dropout(0.1)(torch.ones(400_000)) == 0
    for distance in (1, 2, 3, 4, 8):
        both = (dropped[distance:] & dropped[:-distance]).double().mean()
        assert both == pytest.approx(0.01, abs=0.001)


def test_random_bits_are_uniform_and_fill_any_length():
    torch.manual_seed(0)
    bits = random_bits(400_001)
    assert len(bits) == 400_001
    counts = torch.bincount((bits.long() + 2**15) >> 12, minlength=16).double()
    assert ((counts - 400_001 / 16).abs() < 5 * math.sqrt(400_001 / 16)).all()


def test_gradient_passes_where_the_element_was_kept():
    torch.manual_seed(0)
    values = torch.randn(1000, requires_grad=True)
    output = dropout(0.3)(values)
    output.sum().backward()
    assert torch.equal(values.grad * values, output)
    assert set((values.grad == 0).tolist()) == {True, False}


@pytest.mark.parametrize(("p", "training"), [(0.0, True), (0.3, False)])
def test_without_dropout_the_input_itself_comes_back(p, training):
    values = torch.randn(5)
    assert dropout(p, training=training)(values) is values


def test_a_restored_generator_gives_the_same_masks():
    torch.manual_seed(0)
    dropout(0.5)(torch.ones(77))
    state = torch.get_rng_state()
    first = dropout(0.5)(torch.ones(1001))
    torch.set_rng_state(state)
    assert torch.equal(dropout(0.5)(torch.ones(1001)), first)


def test_half_precision_stays_half_precision():
    assert dropout(0.5)(torch.ones(8, dtype=torch.bfloat16)).dtype == torch.bfloat16


# --- of attention weights ---


def projections(*, dtype=torch.float32):
    """Give query, key and value as models do: views of `[example, token, head × size]`."""
    torch.manual_seed(1)
    flat = torch.randn(3, EXAMPLES, TOKENS, HEADS * SIZE, dtype=dtype)
    return [part.requires_grad_().view(EXAMPLES, TOKENS, HEADS, SIZE).transpose(1, 2) for part in flat.unbind()]


def padding_mask():
    mask = torch.ones(EXAMPLES, 1, 1, TOKENS, dtype=torch.bool)
    mask[1, ..., -3:] = False
    return mask.expand(-1, -1, TOKENS, -1)


def band_mask():
    """Each token sees its neighbours, and the last query none: what local attention does to padding."""
    at = torch.arange(TOKENS)
    mask = ((at[:, None] - at).abs() <= 2).expand(EXAMPLES, 1, -1, -1).clone()
    mask[0, :, -1] = False
    return mask


def plain(query, key, value, mask, kept, scale):
    scores = SCALING * query @ key.transpose(2, 3)
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return (scores.softmax(dim=-1) * kept * scale) @ value


def masks_of(seed, dropped, together):
    """Draw the masks that `DroppedAttention` draws, for some examples at a time."""
    torch.manual_seed(seed)
    sizes = [together] * (EXAMPLES // together) + [EXAMPLES % together]
    bits = torch.cat([random_bits(size * HEADS * TOKENS * TOKENS) for size in sizes])
    return (bits >= dropped - 2**15).view(EXAMPLES, HEADS, TOKENS, TOKENS).float()


@pytest.mark.parametrize("mask", [None, padding_mask(), band_mask()], ids=["none", "padding", "band"])
@pytest.mark.parametrize("dropped", [0, 6554, 40_000])
@pytest.mark.parametrize("together", [1, 2, 3])
def test_dropped_attention_and_its_gradient_are_those_of_the_plain_formula(mask, dropped, together, monkeypatch):
    monkeypatch.setattr("qa.modeling.dropout.CACHED_WEIGHTS", together * HEADS * TOKENS * TOKENS)
    inputs, oracle = projections(), projections()
    torch.manual_seed(7)
    output = DroppedAttention.apply(*inputs, None if mask is None else mask_bias(mask), SCALING, dropped)
    wanted = plain(*oracle, mask, masks_of(7, dropped, together), 65536 / (65536 - dropped))
    weights = torch.randn_like(wanted)
    if mask is not None:
        weights *= mask.any(dim=-1, keepdim=True)  # nobody asks for what a query without keys gives
    found = torch.autograd.grad((output * weights).sum(), inputs)
    exact = torch.autograd.grad((wanted * weights).sum(), oracle)
    torch.testing.assert_close(output, wanted, rtol=1e-5, atol=1e-6)
    for of_ours, of_plain in zip(found, exact, strict=True):
        torch.testing.assert_close(of_ours, of_plain, rtol=1e-4, atol=1e-5)


def test_attention_without_dropout_is_the_library_s_own():
    layer = nn.Module()
    output, weights = attention(layer, *projections(), padding_mask())
    wanted = nn.functional.scaled_dot_product_attention(*projections(), attn_mask=padding_mask())
    assert torch.equal(output, wanted.transpose(1, 2))
    assert weights is None


def test_mean_of_dropped_attention_is_attention():
    query, key, value = (part.detach() for part in projections())
    layer, draws = nn.Module(), 300
    wanted, _ = attention(layer, query, key, value, padding_mask())
    many = [part.repeat(draws, 1, 1, 1) for part in (query, key, value, padding_mask())]
    dropped = attention(layer, *many, dropout=0.1)[0].view(draws, *wanted.shape)
    deviation = dropped.std(dim=0) / math.sqrt(draws)
    assert ((dropped.mean(dim=0) - wanted).abs() < 5 * deviation + 1e-6).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_in_half_precision_only_inputs_and_result_are_rounded(dtype):
    halves, singles = projections(dtype=dtype), [part.detach().float() for part in projections(dtype=dtype)]
    torch.manual_seed(7)
    with torch.autocast("cpu", torch.bfloat16):
        output, _ = attention(nn.Module(), *halves, padding_mask(), dropout=0.1)
    torch.manual_seed(7)
    wanted, _ = attention(nn.Module(), *singles, padding_mask(), dropout=0.1)
    assert torch.equal(output, wanted.to(dtype))
    gradients = torch.autograd.grad(output.float().square().sum(), halves)
    assert {gradient.dtype for gradient in gradients} == {dtype}


@pytest.mark.parametrize("case", ["causal", "double precision", "position bias"])
def test_other_kinds_of_attention_are_left_to_the_library(case, monkeypatch):
    monkeypatch.setattr("qa.modeling.dropout.DroppedAttention.apply", None)
    layer = nn.Module()
    layer.is_causal = case == "causal"
    inputs = projections(dtype=torch.float64 if case == "double precision" else torch.float32)
    extra = {"position_bias": torch.zeros(1, HEADS, TOKENS, TOKENS)} if case == "position bias" else {}
    output, _ = attention(layer, *inputs, None, dropout=0.1, **extra)
    assert output.shape == (EXAMPLES, TOKENS, HEADS, SIZE)


# --- of models ---


def batch():
    mask = torch.ones(2, 16, dtype=torch.long)
    mask[1, 10:] = 0
    return {"input_ids": torch.arange(5, 37).view(2, 16), "attention_mask": mask}


def logits(model):
    output = model(**batch())
    return torch.stack([output.start_logits, output.end_logits])[:, batch()["attention_mask"] == 1]


def test_evaluation_and_parameters_are_untouched():
    model = tiny.model().eval()
    before, names = logits(model), list(model.state_dict())
    use_cheap_dropout(model)
    assert torch.equal(logits(model), before)
    assert list(model.state_dict()) == names


def test_training_drops_by_cheap_masks_only():
    model = tiny.model()
    use_cheap_dropout(model.train())
    assert all(isinstance(module, CheapDropout) for module in model.modules() if isinstance(module, nn.Dropout))
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        first, second = logits(model), logits(model)
    assert not torch.equal(first, second)
    assert not {event.key for event in profile.key_averages()} & {"aten::bernoulli_", "aten::native_dropout"}


def test_mean_and_spread_are_those_of_torch_s_dropout():
    torch.manual_seed(0)
    values = torch.randn(64).expand(20_000, 64)
    ours, theirs = CheapDropout(0.1)(values), nn.Dropout(0.1)(values)
    for statistic in (torch.mean, torch.std):
        torch.testing.assert_close(statistic(ours, dim=0), statistic(theirs, dim=0), rtol=0.06, atol=0.02)


def test_a_saved_model_does_not_know_of_it(tmp_path):
    model = tiny.model()
    use_cheap_dropout(model)
    model.save_pretrained(tmp_path)
    assert ATTENTION not in (tmp_path / "config.json").read_text()
    assert AutoModelForQuestionAnswering.from_pretrained(tmp_path).config._attn_implementation == "sdpa"


def test_an_eager_model_keeps_its_attention():
    model = tiny.model()
    model.set_attn_implementation("eager")
    use_cheap_dropout(model)
    assert model.config._attn_implementation == "eager"


@pytest.mark.parametrize(
    ("options", "device", "cheap"), [({}, "cpu", True), ({"compile": True}, "cpu", False), ({}, "cuda", False)]
)
def test_training_uses_it_on_a_cpu_unless_the_encoder_is_compiled(options, device, cheap, monkeypatch):
    """By the run's own device: a machine with a GPU may train on its CPU."""
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: device == "cpu")
    monkeypatch.setattr(nn.Module, "compile", lambda _, **__: None)
    model = tiny.model()
    configure_for_training(model, TrainingConfig(**options), RecipeConfig(), torch.device(device))
    assert (model.config._attn_implementation == ATTENTION) is cheap


def test_recomputed_activations_see_the_same_masks():
    torch.manual_seed(0)
    plain_model, recomputing = tiny.model(), tiny.model()
    recomputing.load_state_dict(plain_model.state_dict())
    gradients = []
    for model, recompute in ((plain_model, False), (recomputing, True)):
        configure_for_training(
            model, TrainingConfig(gradient_checkpointing=recompute), RecipeConfig(), torch.device("cpu")
        )
        torch.manual_seed(5)
        logits(model.train()).square().sum().backward()
        gradients.append([p.grad for p in model.parameters() if p.grad is not None])
    for of_plain, of_recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(of_recomputed, of_plain)
