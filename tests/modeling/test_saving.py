"""A reader in a folder: whole, with what it takes to answer, or an error and what was there before."""

from dataclasses import replace

import pytest
import torch
from safetensors import SafetensorError
from transformers import AutoModel, AutoTokenizer

from qa.errors import StorageError
from qa.modeling.reader import load_reader
from qa.modeling.saving import save_reader, save_surroundings, save_whole
from qa.modeling.settings import DEFAULT_SETTINGS, SETTINGS_FILE, load_settings
from tests.support import tiny

SETTINGS = replace(DEFAULT_SETTINGS, n_best=7, no_answer_threshold=-1.5)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def save(folder, model, weights=None):
    save_reader(folder, model, weights or model.state_dict(), tiny.tokenizer(), SETTINGS)


def test_what_is_saved_loads_with_the_weights_given_not_the_models_own(tmp_path):
    model, other = tiny.model(seed=0), tiny.model(seed=1)
    save(tmp_path / "model", model, other.state_dict())
    reader = load_reader(str(tmp_path / "model"))
    for name, value in other.state_dict().items():
        assert torch.equal(reader.model.state_dict()[name], value), name
    assert reader.settings == SETTINGS
    assert reader.tokenizer("Where?")["input_ids"] == tiny.tokenizer()("Where?")["input_ids"]


def test_an_earlier_model_is_replaced_as_a_whole(tmp_path):
    folder = tmp_path / "model"
    save(folder, tiny.model())
    (folder / "left over").touch()
    save(folder, tiny.model())
    assert "left over" not in names(folder)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), SafetensorError("No space left")])
def test_a_full_disk_leaves_the_earlier_model_as_it_was(error, tmp_path, monkeypatch):
    folder, model = tmp_path / "model", tiny.model()
    save(folder, model)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(*_, **__):
        raise error

    monkeypatch.setattr(type(model), "save_pretrained", full)
    with pytest.raises(StorageError, match=r"cannot write the model to .*model: .*No space left"):
        save(folder, model)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert names(tmp_path) == ["model"]


def test_a_head_that_was_drawn_at_random_is_not_saved(tmp_path):
    AutoModel.from_config(tiny.model().config).save_pretrained(tmp_path / "encoder")
    tiny.tokenizer().save_pretrained(tmp_path / "encoder")
    reader = load_reader(str(tmp_path / "encoder"))
    assert reader.has_new_head
    save_whole(reader, tmp_path / "copy")
    again = load_reader(str(tmp_path / "copy"))
    assert again.has_new_head
    assert not (tmp_path / "copy" / SETTINGS_FILE).exists()
    for name, value in reader.model.base_model.state_dict().items():
        assert torch.equal(again.model.base_model.state_dict()[name], value), name


def test_a_trained_head_and_settings_are_saved_as_they_are(tmp_path):
    save(tmp_path / "model", tiny.model())
    reader = load_reader(str(tmp_path / "model"))
    save_whole(reader, tmp_path / "copy")
    again = load_reader(str(tmp_path / "copy"))
    assert not again.has_new_head
    assert again.settings == SETTINGS
    assert torch.equal(again.model.qa_outputs.weight, reader.model.qa_outputs.weight)


def test_surroundings_are_all_but_the_weights(tmp_path):
    save(tmp_path / "model", tiny.model())
    reader = load_reader(str(tmp_path / "model"))
    save_surroundings(reader, tmp_path / "deep" / "around")
    assert not [name for name in names(tmp_path / "deep" / "around") if name.endswith(".safetensors")]
    assert load_settings(tmp_path / "deep" / "around") == SETTINGS
    assert AutoTokenizer.from_pretrained(tmp_path / "deep" / "around")("Where?") == reader.tokenizer("Where?")
    save_surroundings(replace(reader, settings=None), tmp_path / "bare")
    assert SETTINGS_FILE not in names(tmp_path / "bare")


def test_a_model_may_be_saved_where_it_was_loaded_from(tmp_path):
    """Its weights may still be read from the file that is replaced (transformers #37713)."""
    save(tmp_path / "model", tiny.model())
    reader = load_reader(str(tmp_path / "model"))
    with torch.no_grad():
        reader.model.qa_outputs.bias += 1
    save_reader(tmp_path / "model", reader.model, reader.model.state_dict(), reader.tokenizer, SETTINGS)
    again = load_reader(str(tmp_path / "model"))
    for name, value in reader.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], value), name
