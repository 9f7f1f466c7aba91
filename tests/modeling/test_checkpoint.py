"""A model has all weights of its encoder from its checkpoint, whoever saved it, or an error says which it lacks."""

import json

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForSequenceClassification, BertForQuestionAnswering

from qa.errors import ModelError
from qa.inference.pipeline import pipeline
from qa.modeling.checkpoint import load_checkpoint
from qa.modeling.reader import load_reader, load_trained_reader
from tests.support import tiny, zoo

WEIGHTS = "model.safetensors"


def renamed(folder, change):
    """A saved reader whose weights are called, or chosen, otherwise."""
    tiny.save_reader(folder)
    weights = {change(name): tensor for name, tensor in load_file(folder / WEIGHTS).items()}
    weights.pop(None, None)
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    return str(folder)


def loaded(source):
    return load_checkpoint(source, name=source, dtype=torch.float32, num_labels=2)


def same(model, saved):
    wanted = saved.state_dict()
    return all(torch.equal(tensor, wanted[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("wrapper", ["module.", "_orig_mod.", "model.", "net.reader."])
def test_what_stands_before_all_names_is_left_out(wrapper, tmp_path, caplog):
    caplog.set_level("INFO", "qa")
    model, has_new_head = loaded(renamed(tmp_path, lambda name: wrapper + name))
    assert not has_new_head
    assert same(model, tiny.model())
    assert f"are called {wrapper}…" in caplog.text


def test_an_encoder_alone_may_be_wrapped_and_gets_a_new_head(tmp_path):
    def change(name):
        return f"module.{name.removeprefix('bert.')}" if name.startswith("bert.") else None

    model, has_new_head = loaded(renamed(tmp_path, change))
    assert has_new_head
    assert same(model.bert, tiny.model().bert)


CAUSAL = ("llama", "qwen2", "qwen3", "mistral", "gpt2", "gpt_neox", "opt", "falcon")


@pytest.mark.parametrize("kind", CAUSAL)
def test_a_language_model_as_it_is_published_brings_its_weights(kind, tmp_path):
    """Its class names them otherwise than the one with a span head, which the library then draws at random."""
    tokenizer = zoo.tokenizer(kind)
    published = AutoModelForCausalLM.from_config(zoo.config(kind, tokenizer))
    published.save_pretrained(tmp_path)
    model, has_new_head = loaded(str(tmp_path))
    assert has_new_head
    assert same(model.base_model, published.base_model)


@pytest.mark.parametrize("kind", ["t5", "bart", "electra"])
def test_a_model_without_a_span_head_has_a_new_one(kind, tmp_path):
    AutoModel.from_config(zoo.config(kind, zoo.tokenizer(kind))).save_pretrained(tmp_path)
    _, has_new_head = loaded(str(tmp_path))
    assert has_new_head


LACKS = {
    "another encoder": (lambda name: name.replace("attention", "attn"), "found bert.encoder.layer.0.attn.output."),
    "no norm": (lambda name: None if "embeddings.LayerNorm" in name else name, "wanted bert.embeddings.LayerNorm.bias"),
    "one layer": (lambda name: name.replace("layer.0.", "layer.7."), "found bert.encoder.layer.7.attention"),
}


@pytest.mark.parametrize("load", [load_trained_reader, load_reader, lambda name: pipeline(model=name, dtype="auto")])
@pytest.mark.parametrize("fault", LACKS)
def test_an_encoder_that_is_not_all_there_is_refused(fault, load, tmp_path):
    change, wanted = LACKS[fault]
    with pytest.raises(ModelError, match="of its encoder") as refused:
        load(renamed(tmp_path, change))
    assert wanted in str(refused.value)
    assert "\n" not in str(refused.value)


def test_layers_that_the_configuration_does_not_count_are_named(tmp_path, caplog):
    zoo.save(tmp_path, "bert", num_hidden_layers=3)
    settings = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(settings | {"num_hidden_layers": 1}))
    loaded(str(tmp_path))
    assert "32 weights of layers that its config.json does not count are left out: bert.encoder.layer.1" in caplog.text


def test_heads_of_other_tasks_are_left_out_without_a_word(tmp_path, caplog):
    AutoModelForSequenceClassification.from_config(zoo.config("bert", zoo.tokenizer("bert"))).save_pretrained(tmp_path)
    _, has_new_head = loaded(str(tmp_path))
    assert has_new_head
    assert not [record for record in caplog.records if record.name.startswith("qa")]


# --- adapters ---


OF_PEFT = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # its reading


def adapter(folder, base, **settings):
    base.save_pretrained(folder / "base")
    whole = BertForQuestionAnswering.from_pretrained(folder / "base")
    get_peft_model(whole, LoraConfig(r=2, target_modules=["query"], **settings)).save_pretrained(folder / "adapter")
    return str(folder / "adapter")


@OF_PEFT
def test_an_adapter_without_a_head_on_a_bare_encoder_has_a_new_one(tmp_path):
    assert loaded(adapter(tmp_path, tiny.model().bert))[1]


@OF_PEFT
def test_an_adapter_brings_the_head_or_its_model_does(tmp_path):
    assert not loaded(adapter(tmp_path / "own", tiny.model().bert, task_type="QUESTION_ANS"))[1]
    assert not loaded(adapter(tmp_path / "base", tiny.model()))[1]


@OF_PEFT
def test_an_adapter_whose_weights_are_not_found_is_refused(tmp_path):
    """The library loads no magnitudes of DoRA, and goes on."""
    with pytest.raises(ModelError, match=r"is an adapter of which the library does not find 2 weights.*lora_magnitude"):
        loaded(adapter(tmp_path, tiny.model(), use_dora=True, init_lora_weights=False))


@OF_PEFT
@pytest.mark.parametrize("largest", ["1GB", "10KB"])
def test_an_adapter_beside_a_whole_model_is_refused(largest, tmp_path):
    """The library would add it to weights that have it (peft issue 1381)."""
    source = adapter(tmp_path, tiny.model(), init_lora_weights=False)
    model, _ = loaded(source)
    model.save_pretrained(source, max_shard_size=largest)
    with pytest.raises(ModelError, match=r"has adapter_config.json and model.safetensors.*wanted a folder of either"):
        loaded(source)


@OF_PEFT
@pytest.mark.parametrize("settings", [{}, {"modules_to_save": ["qa_outputs"]}])
def test_an_adapter_is_added_to_the_weights_which_can_then_be_trained(settings, tmp_path):
    """peft freezes what it loads."""
    source = adapter(tmp_path, tiny.model(), init_lora_weights=False, **settings)
    beside = BertForQuestionAnswering.from_pretrained(source).train(mode=False)
    model, _ = loaded(source)
    assert model.state_dict().keys() == tiny.model().state_dict().keys()
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not same(model, tiny.model())
    window = {"input_ids": torch.arange(5, 25).unsqueeze(0)}
    with torch.no_grad():
        torch.testing.assert_close(model.train(mode=False)(**window).start_logits, beside(**window).start_logits)
    model.save_pretrained(tmp_path / "saved")
    assert same(loaded(str(tmp_path / "saved"))[0], model)
