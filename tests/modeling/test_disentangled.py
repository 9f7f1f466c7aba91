"""DeBERTa's attention by disentangled-flash: the real package, against the library's own attention."""

import copy
import sys

import pytest
import torch
from accelerate import Accelerator

from qa.config import FeaturesConfig, RecipeConfig, RunConfig, TrainingConfig
from qa.errors import ConfigError, MissingPackageError, ModelError
from qa.modeling.disentangled import DISENTANGLED, use_disentangled
from qa.modeling.reader import load_reader, load_reader_for
from qa.modeling.structure import configure_for_training
from qa.training.setup import prepare_for_evaluation
from tests.support import tiny
from tests.support.trainers import CALM, STEADY, assert_same_weights, loop_for, reader_of, weights

CPU = torch.device("cpu")
CONFIG = TrainingConfig(attention=DISENTANGLED)
BIG = {"hidden_size": 64}
"""Heads of 32, for which there are kernels."""
KINDS = {
    "v2, as made in tests": {},
    "v3": {"share_att_key": True, "position_buckets": 16, "norm_rel_ebd": "layer_norm", "max_relative_positions": -1},
    "with a convolution": {"conv_kernel_size": 3, "conv_act": "gelu", "position_buckets": 16},
    "no relative positions": {"relative_attention": False, "pos_att_type": None},
}


def batch(device=CPU):
    lengths = torch.tensor([[40], [23]])
    ids = torch.arange(80).view(2, 40) % 50 + 10
    return {"input_ids": ids.to(device), "attention_mask": (torch.arange(40) < lengths).long().to(device)}


def logits(model, inputs):
    output = model(**inputs)
    mask = inputs["attention_mask"]
    return torch.stack([output.start_logits, output.end_logits]) * mask


def gradients(model, inputs):
    model.zero_grad()
    logits(model, inputs).square().sum().backward()
    return {name: value.grad for name, value in model.named_parameters() if value.grad is not None}


@pytest.mark.parametrize("kind", KINDS)
def test_logits_and_gradients_are_those_of_the_library(kind):
    model = tiny.model("deberta-v2", **CALM, **KINDS[kind])
    own, names = copy.deepcopy(model), list(model.state_dict())
    use_disentangled(model, CONFIG, CPU)
    assert type(model.base_model.encoder) is not type(own.base_model.encoder)
    assert list(model.state_dict()) == names
    torch.testing.assert_close(logits(model, batch()), logits(own, batch()), rtol=1e-5, atol=1e-6)
    found, wanted = gradients(model, batch()), gradients(own, batch())
    assert found.keys() == wanted.keys()
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-5, msg=name)


def test_training_takes_the_same_steps():
    def trained(attention):
        model = tiny.model("deberta-v2", **CALM)
        loop = loop_for(tiny.small(8), model=model, family="deberta-v2", attention=attention, **STEADY)
        return loop, [step.loss for step in loop.steps()]

    (found, losses), (wanted, own) = trained(DISENTANGLED), trained("auto")
    assert losses == pytest.approx(own, rel=1e-5)
    assert_same_weights(weights(found), weights(wanted), rtol=0, atol=1e-6)


def test_what_was_trained_so_is_saved_like_any_other(tmp_path):
    model = tiny.model("deberta-v2", **CALM)
    use_disentangled(model, CONFIG, CPU)
    model.save_pretrained(tmp_path)
    tiny.tokenizer("deberta-v2").save_pretrained(tmp_path)
    loaded = load_reader(str(tmp_path)).model
    assert "disentangled" not in type(loaded.base_model.encoder).__module__
    torch.testing.assert_close(logits(loaded, batch()), logits(model, batch()), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("recipe", [{}, {"dropout": 0.25, "attention_dropout": 0.75}])
def test_dropout_stays_as_it_was_set(recipe):
    model = tiny.model("deberta-v2")
    configure_for_training(model, CONFIG, RecipeConfig(**recipe), CPU)
    for layer in model.base_model.encoder.layer:
        attention = layer.attention.self
        weights, positions = (0.75, 0.25) if recipe else (0.1, 0.1)
        assert attention.dropout.p == attention.attention_probability_dropout == weights
        assert attention.pos_dropout.p == positions
    assert not torch.equal(logits(model.train(), batch()), logits(model, batch()))


def test_layers_are_computed_again_where_memory_is_to_be_saved():
    model = tiny.model("deberta-v2", **CALM)
    wanted = gradients(model, batch())
    configure_for_training(
        model, TrainingConfig(attention=DISENTANGLED, gradient_checkpointing=True), RecipeConfig(), CPU
    )
    calls = []
    for layer in model.base_model.encoder.layer:
        layer.intermediate.register_forward_hook(lambda *_: calls.append("layer"))
    found = gradients(model.train(), batch())
    assert len(calls) == 2 * len(model.base_model.encoder.layer)
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.usefixtures("fresh_accelerator")
def test_a_model_that_is_only_evaluated_answers_by_it_too():
    reader = reader_of(tiny.model("deberta-v2"), "deberta-v2")
    model = prepare_for_evaluation(Accelerator(cpu=True), reader, CONFIG)
    assert type(model.base_model.encoder).__name__ == "DebertaV2OptimizedEncoder"


# --- what it is not for ---


def saved(family, folder):
    tiny.model(family).save_pretrained(folder)
    tiny.tokenizer(family).save_pretrained(folder)
    return str(folder)


def run_of(folder, **recipe):
    features = FeaturesConfig(max_length=64, doc_stride=8, max_question_length=16)
    return RunConfig(model=folder, features=features, training=CONFIG, recipe=RecipeConfig(**recipe))


def test_another_model_is_refused(tmp_path):
    with pytest.raises(ModelError, match="'disentangled-flash', which is for deberta-v2; found bert"):
        load_reader_for(run_of(saved("bert", tmp_path)))


def test_low_rank_matrices_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="'disentangled-flash', which would pass low-rank matrices by; wanted none"):
        load_reader_for(run_of(saved("deberta-v2", tmp_path), lora_rank=2))


def test_a_missing_package_is_named_with_what_installs_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "disentangled_flash", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'extractive-qa\[deberta\]'"):
        load_reader_for(run_of(saved("deberta-v2", tmp_path)))


def test_heads_that_a_gpu_has_no_kernels_for_are_refused():
    with pytest.raises(ModelError, match="no kernels for heads of 16 on this machine; wanted one of 32, 64, 128"):
        use_disentangled(tiny.model("deberta-v2"), CONFIG, torch.device("cuda"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpus_kernels_give_logits_and_gradients_of_the_library():
    own = tiny.model("deberta-v2", **CALM, **BIG).to("cuda")
    model = copy.deepcopy(own)
    use_disentangled(model, CONFIG, torch.device("cuda"))
    assert model.base_model.encoder.backend == "triton"
    torch.testing.assert_close(logits(model, batch("cuda")), logits(own, batch("cuda")), rtol=1e-3, atol=1e-4)
    found, wanted = gradients(model, batch("cuda")), gradients(own, batch("cuda"))
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-2, atol=1e-3, msg=name)
