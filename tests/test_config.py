"""A configuration is one frozen value, checked where it is made."""

import dataclasses
from pathlib import Path

import pytest

from qa.config import (
    DataConfig,
    DecodingConfig,
    FeaturesConfig,
    RecipeConfig,
    RunConfig,
    TrackingConfig,
    TrainingConfig,
)
from qa.errors import ConfigError


def test_configuration_cannot_be_changed():
    config = RunConfig()
    for part in (config, config.data, config.features, config.training, config.decoding, config.tracking):
        first = dataclasses.fields(part)[0].name
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(part, first, "other")


@pytest.mark.parametrize(
    ("part", "setting", "value"),
    [
        (FeaturesConfig, "max_length", 7),
        (FeaturesConfig, "doc_stride", -1),
        (FeaturesConfig, "max_question_length", 0),
        (TrainingConfig, "epochs", 0.0),
        (TrainingConfig, "epochs", float("inf")),
        (TrainingConfig, "max_steps", -1),
        (TrainingConfig, "learning_rate", -1e-5),
        (TrainingConfig, "learning_rate", float("nan")),
        (TrainingConfig, "warmup_ratio", 1.5),
        (TrainingConfig, "batch_size", 0),
        (TrainingConfig, "accumulation_steps", 0),
        (TrainingConfig, "weight_decay", -0.1),
        (TrainingConfig, "adam_epsilon", 0.0),
        (TrainingConfig, "max_gradient_norm", 0.0),
        (TrainingConfig, "evaluate_every", -1),
        (TrainingConfig, "save_every", -1),
        (TrainingConfig, "log_every", 0),
        (TrainingConfig, "keep_last", 0),
        (TrainingConfig, "patience", 0),
        (DecodingConfig, "n_best", 0),
        (DecodingConfig, "max_answer_tokens", 0),
        (DecodingConfig, "batch_size", 0),
        (DecodingConfig, "no_answer_threshold", float("nan")),
        (DecodingConfig, "length_cost", float("nan")),
        (DecodingConfig, "length_cost", 1e39),
        (TrackingConfig, "table_rows", -1),
        (RunConfig, "max_train_examples", 0),
        (RunConfig, "max_validation_examples", 0),
        (RunConfig, "seed", -1),
    ],
)
def test_impossible_value_is_named_with_what_was_wanted(part, setting, value):
    with pytest.raises(ConfigError) as error:
        part(**{setting: value})
    assert setting.replace("_", "-") in str(error.value)
    assert repr(value) in str(error.value)
    assert "wanted" in str(error.value)


@pytest.mark.parametrize("head", ["tokens", "conditional"])
@pytest.mark.parametrize(
    "other",
    [
        {"recipe": RecipeConfig(objective="joint")},
        {"recipe": RecipeConfig(label_smoothing=0.1)},
        {"recipe": RecipeConfig(teacher=("a",))},
        {"decoding": DecodingConfig(search="hf_parity")},
    ],
)
def test_what_is_of_spans_goes_with_the_head_of_spans(other, head):
    RunConfig(**other)
    with pytest.raises(ConfigError, match=f"head is '{head}'; wanted spans with an objective"):
        RunConfig(head=head, **other)


def test_length_costs_something_only_where_spans_are_searched_for_exactly():
    dear = DecodingConfig(length_cost=0.1)
    for head in ("spans", "conditional"):
        RunConfig(head=head, decoding=dear)
    RunConfig(head="tokens", decoding=DecodingConfig(length_cost=0.0))
    with pytest.raises(ConfigError, match=r"decoding\.length-cost is 0\.1; wanted 0 with the search hf_parity"):
        RunConfig(decoding=DecodingConfig(length_cost=0.1, search="hf_parity"))
    with pytest.raises(ConfigError, match=r"decoding\.length-cost is 0\.1; wanted 0 .*the head tokens"):
        RunConfig(head="tokens", decoding=dear)


@pytest.mark.parametrize("other", [{"compile": False}, {"accumulation_steps": 2}, {"auto_batch_size": True}])
def test_graphs_are_replayed_only_of_what_is_compiled_and_a_whole_step(other):
    """A replay overwrites gradients that were to be added up (pytorch#169545, #96693)."""
    replayed = {"compile": True, "compile_mode": "reduce-overhead"}
    TrainingConfig(**replayed)
    with pytest.raises(
        ConfigError, match=r"training\.compile-mode is 'reduce-overhead'; wanted default, unless compile is on"
    ):
        TrainingConfig(**replayed | other)


def test_answers_are_chosen_by_overlap_only_where_spans_are_searched_for_exactly():
    agreed = DecodingConfig(choice="overlap")
    RunConfig(head="conditional", decoding=agreed)
    with pytest.raises(ConfigError, match=r"decoding\.choice is 'overlap'; wanted likeliest with the search hf_parity"):
        RunConfig(decoding=DecodingConfig(choice="overlap", search="hf_parity"))
    with pytest.raises(ConfigError, match=r"decoding\.n-best is 1; wanted 2 or more"):
        DecodingConfig(choice="overlap", n_best=1)
    with pytest.raises(ConfigError, match=r"wanted likeliest .*answers all"):
        RunConfig(data=DataConfig(answers="all"), decoding=agreed)
    with pytest.raises(ConfigError, match=r"decoding\.choice is 'overlap'; wanted likeliest .*the head tokens"):
        RunConfig(head="tokens", decoding=agreed)


def test_evaluating_only_or_judging_models_needs_validation_data():
    judged = [TrainingConfig(patience=1), TrainingConfig(best_metric="f1"), TrainingConfig(keep_best=2)]
    for training in (TrainingConfig(max_steps=0), *judged):
        with pytest.raises(ConfigError, match="validation-data"):
            RunConfig(validation_data=None, training=training)
        RunConfig(training=training)


@pytest.mark.parametrize(
    ("said", "meant"),
    [("~/runs", "HOME/runs"), ("~", "HOME"), ("~nobody-here/runs", "~nobody-here/runs"), ("a~", "a~")],
)
def test_a_path_may_begin_with_the_home_folder(said, meant, monkeypatch, tmp_path):
    """Also in files, where no shell sees it; a user that is not there is a name like any other."""
    monkeypatch.setenv("HOME", str(tmp_path))
    wanted = Path(meant.replace("HOME", str(tmp_path)))
    assert RunConfig(output_dir=Path(said)).output_dir == wanted
    assert FeaturesConfig(cache_dir=Path(said)).cache_dir == wanted
