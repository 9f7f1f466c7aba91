"""The best model so far: kept whole, with its settings."""

import pytest
from safetensors import SafetensorError
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

from qa.errors import StorageError
from qa.modeling.reader import load_reader
from qa.modeling.settings import load_settings
from qa.run_folder.best_model import keep_model
from qa.run_folder.paths import RunPaths
from tests.support import tiny
from tests.support.checkpoints import ROWS, SETTINGS, names, new_loop
from tests.support.trainers import assert_same_weights, loop_for, weights


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_exported_model_loads_with_the_library_and_answers_alike(family, tmp_path):
    loop = loop_for(ROWS, family=family, max_steps=1)
    list(loop.steps())
    tokenizer = tiny.tokenizer(family)
    keep_model(RunPaths(tmp_path), loop, tokenizer, SETTINGS)
    model = AutoModelForQuestionAnswering.from_pretrained(tmp_path / "model")
    assert_same_weights(dict(model.state_dict()), weights(loop), rtol=0, atol=0)
    again = AutoTokenizer.from_pretrained(tmp_path / "model")
    text = "Where is Zürich?", "It is in  Switzerland."
    assert again(*text)["input_ids"] == tokenizer(*text)["input_ids"]
    assert load_settings(tmp_path / "model") == SETTINGS
    assert not {".bin", ".pt", ".pkl"} & {path.suffix for path in (tmp_path / "model").iterdir()}
    assert load_reader(str(tmp_path / "model")).settings == SETTINGS


def test_failed_export_leaves_the_earlier_model(tmp_path, monkeypatch):
    loop = new_loop(max_steps=1)
    keep_model(RunPaths(tmp_path), loop, tiny.tokenizer(), SETTINGS)
    before = names(tmp_path / "model")

    def full(*_, **__):
        raise SafetensorError("I/O error: No space left on device")

    monkeypatch.setattr(type(loop.model), "save_pretrained", full)
    with pytest.raises(StorageError, match=r"cannot write the model .*No space left"):
        keep_model(RunPaths(tmp_path), loop, tiny.tokenizer(), SETTINGS)
    assert names(tmp_path / "model") == before
    assert names(tmp_path) == ["model"]
