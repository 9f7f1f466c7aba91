"""Where a model is by its name, and what its tokenizer must know."""

import pytest
from transformers import PreTrainedTokenizerBase

from qa.errors import ModelError
from qa.files import write_manifest
from qa.modeling.sources import check_words, load_tokenizer, located
from tests.support import tiny


def test_a_folder_is_where_its_path_says_and_anything_else_a_hub_id(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    assert located("~/model") == str(tmp_path / "model")
    assert located("deepset/roberta-base-squad2") == "deepset/roberta-base-squad2"
    with pytest.raises(ModelError, match=r"'\./nowhere': no such folder; wanted a folder, a hub id, or one of minilm"):
        located("./nowhere")


def test_a_file_is_no_model(tmp_path):
    file = tmp_path / "reader.json"
    file.write_text("{}")
    with pytest.raises(ModelError, match=r"reader\.json' is a file; wanted the folder of a model, or a hub id"):
        located(str(file))


def test_a_folder_without_a_model_and_a_run_with_one_inside_are_told(tmp_path):
    with pytest.raises(ModelError, match="the folder holds no model; wanted config"):
        located(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=f"the folder of a run; wanted its model, {tmp_path}/model"):
        located(str(tmp_path))
    (tmp_path / "model.safetensors").touch()
    assert located(str(tmp_path)) == str(tmp_path)  # a model may lie beside another


def test_a_checkpoint_is_no_model(tmp_path):
    tiny.model().save_pretrained(tmp_path)
    write_manifest(tmp_path)
    assert located(str(tmp_path)) == str(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(ModelError, match="a checkpoint, by which a run is resumed; wanted the model that `qa export-"):
        located(str(tmp_path))


def test_a_tokenizer_is_loaded_alone(tmp_path):
    tiny.tokenizer().save_pretrained(tmp_path)
    assert load_tokenizer(str(tmp_path)).get_vocab() == tiny.tokenizer().get_vocab()
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(ModelError, match="does not load"):
        load_tokenizer(str(tmp_path))


def test_a_tokenizer_of_special_tokens_alone_is_refused():
    class Empty(PreTrainedTokenizerBase):
        all_special_tokens = ("[CLS]", "[SEP]")

        def __init__(self):
            pass

        def get_vocab(self):
            return {"[CLS]": 0, "[SEP]": 1}

    with pytest.raises(ModelError, match="the tokenizer of model 'm' knows no words"):
        check_words(Empty(), "m")
    check_words(tiny.tokenizer(), "m")
