"""What is set in a model before training: dropout, frozen parts, and how deep every parameter lies."""

import contextlib
import dataclasses
import re

import pytest
import torch
from torch import nn

from qa.config import FeaturesConfig, RecipeConfig, RunConfig, TrainingConfig
from qa.errors import ConfigError, ModelError
from qa.modeling.reader import load_reader_for
from qa.modeling.structure import configure_for_training, freeze, has_unused_parameters, parameter_depths, set_dropout
from tests.support import tiny
from tests.support.trainers import reader_of

ONE_FOR_BOTH = ("xlnet",)
"""Families with one probability for hidden states and attention weights."""


def probabilities(model):
    """Every probability to drop that a module has, by whether it is one of attention weights."""
    found = {}
    for module_name, module in model.named_modules():
        for name, value in vars(module).items():
            if isinstance(value, float) and ("drop" in name or (name == "p" and isinstance(module, nn.Dropout))):
                found[f"{module_name}.{name}"] = value
    return found


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_hidden_states_and_attention_have_dropout_of_their_own(family):
    model = tiny.model(family)
    before, config = probabilities(model), model.config.to_dict()
    set_dropout(model, hidden=0.25, attention=0.75)
    after = probabilities(model)
    assert after.keys() == before.keys()
    assert set(after.values()) >= ({0.25} if family in ONE_FOR_BOTH else {0.25, 0.75})
    assert model.config.to_dict() == config, "the model is saved as it was"


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_none_leaves_the_models_own_dropout(family):
    model = tiny.model(family)
    before = probabilities(model)
    set_dropout(model, hidden=None, attention=None)
    assert probabilities(model) == before


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_without_any_dropout_training_draws_nothing(family):
    model = tiny.model(family)
    set_dropout(model, hidden=0.0, attention=0.0)
    model.train()
    inputs = {"input_ids": torch.arange(8).unsqueeze(0) + 10, "attention_mask": torch.ones(1, 8, dtype=torch.long)}
    one, other = (model(**inputs).start_logits for _ in range(2))
    assert torch.equal(one, other)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_depths_fall_from_the_embeddings_to_the_head(family):
    model = tiny.model(family)
    depths = parameter_depths(model)
    encoder = f"{model.base_model_prefix}."
    assert {depth for name, depth in depths.items() if not name.startswith(encoder)} == {0}
    for name, depth in depths.items():
        layer = re.search(r"\.(\d)\.", name)
        if layer:
            assert depth == 2 - int(layer[1]), name
        elif "embed" in name:
            assert depth == 3, name


def test_frozen_parts_are_the_lowest():
    model = tiny.model()
    freeze(model, layers=1, embeddings=True)
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert not any("embed" in name or ".layer.0." in name for name in trained)
    assert any(".layer.1." in name for name in trained)
    assert "qa_outputs.weight" in trained


def test_embeddings_are_frozen_alone():
    model = tiny.model()
    freeze(model, layers=0, embeddings=True)
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert frozen == {name for name, _ in model.named_parameters() if "embed" in name}


def test_more_layers_than_there_are_cannot_be_frozen():
    with pytest.raises(ConfigError, match=r"frozen-layers is 3; wanted at most 2"):
        freeze(tiny.model(), layers=3, embeddings=False)


def test_gradient_checkpointing_and_compilation_are_off_unless_asked_for(monkeypatch):
    compiled = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module, **options: compiled.append((module, options)))
    for options in ({}, {"gradient_checkpointing": True}, {"compile": True}):
        model = tiny.model()
        configure_for_training(model, TrainingConfig(**options), RecipeConfig(), torch.device("cpu"))
        assert model.is_activation_checkpointing == ("gradient_checkpointing" in options)
    assert compiled == [(model.base_model, {"dynamic": False, "mode": "default"})]
    assert torch.compiler.config.recompile_limit > 8  # torch's own, which lengths alone exceed


def test_the_compiler_is_told_its_mode(monkeypatch):
    compiled = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda _, **options: compiled.append(options["mode"]))
    config = TrainingConfig(compile=True, compile_mode="reduce-overhead")
    configure_for_training(tiny.model(), config, RecipeConfig(), torch.device("cuda"))
    assert compiled == ["reduce-overhead"]


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_unused_parameters_are_noticed_and_nothing_is_left_behind(family):
    model = tiny.model(family).train()
    window = reader_of(model, family).windows(26)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert has_unused_parameters(model, window) == (family == "xlnet")  # its embedding of masked tokens
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(("family", "refused"), [("bert", False), ("xlnet", True)])
def test_recomputation_that_the_model_does_not_have_is_refused_by_name(family, refused, tmp_path):
    tiny.save_reader(tmp_path, family)
    run = RunConfig(model=str(tmp_path), features=FeaturesConfig(max_length=80, doc_stride=8))
    assert load_reader_for(run).model.config.model_type == family
    run = dataclasses.replace(run, training=TrainingConfig(gradient_checkpointing=True))
    with pytest.raises(ModelError, match=r"\(xlnet\) does not .*gradient") if refused else contextlib.nullcontext():
        load_reader_for(run)
