"""A reader loads with float32 weights and fits its tokenizer and the run, or an error says what is wrong."""

import json
import sys
from pathlib import Path

import pytest
import torch
from tokenizers.processors import TemplateProcessing
from transformers import AutoModelForSequenceClassification, BertConfig, FNetConfig, FNetForQuestionAnswering

from qa.config import FeaturesConfig, RunConfig
from qa.errors import ModelError
from qa.modeling.quirks import model_inputs
from qa.modeling.reader import Reader, load_reader, load_reader_for
from tests.support import tiny

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


@pytest.mark.skipif(sys.platform != "linux", reason="the mappings of a process are read from Linux's /proc")
def test_float32_weights_stay_in_their_file(tmp_path):
    """So all processes of a machine share one copy: FSDP has nothing to gain from models without weights."""
    tiny.save_reader(tmp_path)
    assert files_of(load_reader(str(tmp_path), max_length=64).model) == {str(tmp_path / "model.safetensors")}
    tiny.model().half().save_pretrained(tmp_path)
    assert str(tmp_path / "model.safetensors") not in files_of(load_reader(str(tmp_path), max_length=64).model)


def files_of(model):
    """The files that weights are mapped from; an empty name for memory that is in none."""
    mapped = []
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        bounds, *_, inode, path = [*line.split(maxsplit=5), ""][:6]
        begin, end = (int(bound, 16) for bound in bounds.split("-"))
        mapped.append((begin, end, path if inode != "0" else ""))
    places = [parameter.data_ptr() for parameter in model.parameters()]
    return {path for place in places for begin, end, path in mapped if begin <= place < end}


def test_checkpoint_with_three_classes_gets_a_span_head(tmp_path):
    """A model fine-tuned on inference (NLI) says num_labels 3; the head would then give three logits a token."""
    config = BertConfig(**{"vocab_size": len(tiny.tokenizer()), "num_labels": 3} | tiny.SIZES)
    AutoModelForSequenceClassification.from_config(config).save_pretrained(tmp_path)
    tiny.tokenizer().save_pretrained(tmp_path)
    reader = load_reader(str(tmp_path), max_length=64)
    assert reader.model.config.num_labels == 2
    assert reader.model.qa_outputs.out_features == 2


def test_new_head_follows_the_seed(tmp_path):
    AutoModelForSequenceClassification.from_config(
        BertConfig(**{"vocab_size": len(tiny.tokenizer())} | tiny.SIZES)
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


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_head_of_tokens_begins_with_the_logits_of_spans(family, tmp_path):
    tiny.save_reader(tmp_path, family)
    windows = FeaturesConfig(max_length=80, doc_stride=8)
    spans, tokens = (
        load_reader_for(RunConfig(model=str(tmp_path), head=head, features=windows)).model.state_dict()
        for head in ("spans", "tokens")
    )
    assert [name for name, value in spans.items() if not torch.equal(value, tokens[name])] == []


@pytest.mark.parametrize(("stride", "told"), [(60, False), (61, True), (200, True)])
def test_a_stride_that_leaves_windows_no_step_is_told(stride, told, tmp_path, caplog):
    tiny.model().save_pretrained(tmp_path)
    tiny.tokenizer().save_pretrained(tmp_path)
    windows = FeaturesConfig(max_length=64, doc_stride=stride, max_question_length=16)
    load_reader_for(RunConfig(model=str(tmp_path), features=windows))
    assert (f"doc-stride is {stride}, and windows hold 61 tokens" in caplog.text) is told
