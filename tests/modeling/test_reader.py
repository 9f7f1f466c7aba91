"""A reader loads with float32 weights and fits its tokenizer and the run, or an error says what is wrong."""

import contextlib
import dataclasses
import json

import pytest
import torch
from tokenizers.processors import TemplateProcessing
from transformers import AutoModelForSequenceClassification, BertConfig, FNetConfig, FNetForQuestionAnswering

from qa.config import DecodingConfig, FeaturesConfig, RecipeConfig, RunConfig, TrainingConfig
from qa.errors import ModelError
from qa.features.windows import Encoder
from qa.modeling.quirks import model_inputs
from qa.modeling.reader import Reader, load_reader, load_reader_for
from qa.modeling.settings import SETTINGS_FILE, ReaderSettings, find_settings, load_settings, settings_of
from qa.modeling.structure import configure_for_training, has_unused_parameters
from tests.support import tiny

SETTINGS = ReaderSettings(
    max_length=128,
    doc_stride=32,
    max_question_length=16,
    n_best=5,
    max_answer_tokens=9,
    search="hf_parity",
    null_possible=True,
    no_answer_threshold=-1.25,
)


def reader_of(model, family):
    tokenizer = tiny.tokenizer(family)
    encoder = Encoder.of(tokenizer)
    return Reader(model=model, tokenizer=tokenizer, input_names=model_inputs(model), encoder=encoder, settings=None)


# --- loading ---


def test_embedded_model_loads_offline_with_trained_weights():
    reader = load_reader("minilm", max_length=384)
    assert {parameter.dtype for parameter in reader.model.parameters()} == {torch.float32}
    assert sum(parameter.numel() for parameter in reader.model.parameters()) > 22_000_000
    assert reader.tokenizer.is_fast
    assert reader.settings is None
    assert reader.model.get_input_embeddings().weight.std().item() > 0.03  # random ones have 0.02


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_every_family_loads_from_a_folder(family, tmp_path):
    reader = load_reader(str(tiny.save_reader(tmp_path, family)), max_length=128)
    assert isinstance(reader.model, type(tiny.model(family)))
    assert type(reader.tokenizer) is type(tiny.tokenizer(family))


def test_half_precision_checkpoint_has_float32_weights(tmp_path):
    tiny.save_reader(tmp_path)
    tiny.model().half().save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["dtype"] == "float16"
    reader = load_reader(str(tmp_path), max_length=64)
    assert {parameter.dtype for parameter in reader.model.parameters()} == {torch.float32}


def test_checkpoint_with_three_classes_gets_a_span_head(tmp_path):
    """A model fine-tuned on inference (NLI) says num_labels 3; the head would then give three logits a token."""
    config = BertConfig(**{"vocab_size": len(tiny.tokenizer()), "num_labels": 3} | tiny._SIZES)
    AutoModelForSequenceClassification.from_config(config).save_pretrained(tmp_path)
    tiny.tokenizer().save_pretrained(tmp_path)
    reader = load_reader(str(tmp_path), max_length=64)
    assert reader.model.config.num_labels == 2
    assert reader.model.qa_outputs.out_features == 2


def test_new_head_follows_the_seed(tmp_path):
    AutoModelForSequenceClassification.from_config(
        BertConfig(**{"vocab_size": len(tiny.tokenizer())} | tiny._SIZES)
    ).save_pretrained(tmp_path)
    tiny.tokenizer().save_pretrained(tmp_path)
    heads = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        heads.append(load_reader(str(tmp_path), max_length=64).model.qa_outputs.weight)
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


@pytest.mark.parametrize("source", ["no-such-folder/at-all", "some-owner/no-such-model", "/nowhere"])
def test_unknown_model_is_named(source):
    with pytest.raises(ModelError, match=source):
        load_reader(source, max_length=64)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_missing_tokenizer_is_not_replaced_by_an_empty_one(family, tmp_path):
    """The library makes a tokenizer of special tokens alone where the files are missing."""
    tiny.model(family).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=str(tmp_path)):
        load_reader(str(tmp_path), max_length=64)


@pytest.mark.parametrize("damage", ["no weights", "torn weights", "torn config", "torn tokenizer"])
def test_damaged_folder_is_named(damage, tmp_path):
    tiny.save_reader(tmp_path)
    what, file = damage.split()
    name = {"weights": "model.safetensors", "config": "config.json", "tokenizer": "tokenizer.json"}[file]
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).unlink()
    if what == "torn":
        (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match=str(tmp_path)):
        load_reader(str(tmp_path), max_length=64)


def test_architecture_without_a_span_head_is_named(tmp_path):
    tiny.tokenizer().save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "vit"}))
    with pytest.raises(ModelError, match=str(tmp_path)):
        load_reader(str(tmp_path), max_length=64)


# --- fit ---


def fitted(family, max_length=64, tokenizer=None, **settings):
    known = tokenizer or tiny.tokenizer(family)
    return Reader.fitted(tiny.model(family, **settings), known, max_length=max_length, name="the/model")


@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta"])
def test_window_longer_than_the_positions_is_refused_at_once(family):
    fitted(family, tiny.POSITIONS)
    with pytest.raises(ModelError, match=f"windows of {tiny.POSITIONS + 8} tokens"):
        fitted(family, tiny.POSITIONS + 8)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_vocabulary_smaller_than_the_tokenizer_is_refused(family):
    size = len(tiny.tokenizer(family))
    with pytest.raises(ModelError, match=f"knows {size - 1} tokens; its tokenizer has ids up to {size - 1}"):
        fitted(family, vocab_size=size - 1)


def test_more_token_types_than_the_model_has_are_refused():
    tokenizer = tiny.fresh_tokenizer("bert")
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:2 [SEP]:2",
        special_tokens=[(token, tokenizer.convert_tokens_to_ids(token)) for token in ("[CLS]", "[SEP]")],
    )
    with pytest.raises(ModelError, match="does not take windows of 23 tokens: index out of range"):
        fitted("bert", tokenizer=tokenizer)


def test_model_that_sees_padding_and_takes_no_mask_is_refused():
    size = len(tiny.tokenizer())
    config = FNetConfig(vocab_size=size, hidden_size=32, num_hidden_layers=1, intermediate_size=32)
    with pytest.raises(ModelError, match="attention mask"):
        Reader.fitted(FNetForQuestionAnswering(config), tiny.tokenizer(), max_length=64, name="the/model")


def test_fitting_leaves_weights_and_random_numbers_alone():
    model = tiny.model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(3)
    wanted = torch.rand(1)
    torch.manual_seed(3)
    Reader.fitted(model, tiny.tokenizer(), max_length=64, name="the/model")
    assert torch.equal(torch.rand(1), wanted)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_token_types_go_in_where_the_model_has_more_than_one_of_its_own(family):
    """DistilBERT and ModernBERT would swallow them without a word; XLNet's tokenizer does not list them any more."""
    types = ("token_type_ids",) if family in {"bert", "xlnet"} else ()
    assert model_inputs(tiny.model(family)) == ("input_ids", "attention_mask", *types)
    assert fitted(family).input_names == ("input_ids", "attention_mask", *types)


def test_a_model_with_one_token_type_gets_none():
    assert fitted("bert", type_vocab_size=1).input_names == ("input_ids", "attention_mask")


# --- settings ---


def test_settings_come_back_as_saved(tmp_path):
    (tmp_path / SETTINGS_FILE).write_text(json.dumps(dataclasses.asdict(SETTINGS)))
    assert load_settings(tmp_path) == SETTINGS
    assert find_settings(str(tmp_path)) == SETTINGS
    tiny.save_reader(tmp_path)
    assert load_reader(str(tmp_path)).settings == SETTINGS


def test_no_settings_are_none(tmp_path):
    assert load_settings(tmp_path) is None
    assert find_settings("some-owner/no-such-model") is None


@pytest.mark.parametrize("content", ["", "{", '{"max_length": 3}', '{"max_length": "long"}', "[]", "\xff"])
def test_torn_settings_are_an_error_that_names_the_file(content, tmp_path):
    (tmp_path / SETTINGS_FILE).write_bytes(content.encode("latin-1"))
    with pytest.raises(ModelError, match=rf"{SETTINGS_FILE} is not what a run saves"):
        load_settings(tmp_path)


def test_settings_of_a_run_are_those_of_its_configuration():
    config = RunConfig(
        features=FeaturesConfig(max_length=128, doc_stride=32, max_question_length=16),
        decoding=DecodingConfig(n_best=5, max_answer_tokens=9, search="hf_parity"),
    )
    assert settings_of(config, null_possible=True, threshold=-1.25) == SETTINGS


# --- training options ---


def test_gradient_checkpointing_and_compilation_are_off_unless_asked_for(monkeypatch):
    compiled = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module, **options: compiled.append((module, options)))
    for options in ({}, {"gradient_checkpointing": True}, {"compile": True}):
        model = tiny.model()
        configure_for_training(model, TrainingConfig(**options), RecipeConfig(), torch.device("cpu"))
        assert model.is_activation_checkpointing == ("gradient_checkpointing" in options)
    assert compiled == [(model.base_model, {"dynamic": False})]
    assert torch.compiler.config.recompile_limit > 8  # torch's own, which lengths alone exceed


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
