"""Loading a reader: what runs it, where, and what is wrong with it."""

import pytest
import torch

from qa.errors import ConfigError, ModelError
from qa.inference.predictor import Predictor
from qa.modeling.settings import DEFAULT_SETTINGS
from tests.support.predictors import CONTEXT, QUESTION, saved


def test_loading_says_what_is_wrong(folder, tmp_path):
    with pytest.raises(ConfigError, match="backend is 'tensorflow'"):
        Predictor.from_pretrained(folder, backend="tensorflow")
    with pytest.raises(ConfigError, match="device is 'gpu7'"):
        Predictor.from_pretrained(folder, device="gpu7")
    with pytest.raises(ConfigError, match="dtype is 'int64'"):
        Predictor.from_pretrained(folder, dtype="int64")
    with pytest.raises(ModelError):
        Predictor.from_pretrained(tmp_path / "none", device="cpu")
    with pytest.raises(ModelError, match="'minilm' has no span head"):
        Predictor.from_pretrained("minilm")


def test_a_model_without_settings_has_the_defaults(tmp_path):
    plain = Predictor.from_pretrained(str(saved(tmp_path, own=None)))
    assert plain.settings == DEFAULT_SETTINGS
    assert plain(question=QUESTION, context=CONTEXT)["answer"]


def test_precision_is_as_asked_and_logits_are_float32(folder, predictor):
    half = Predictor.from_pretrained(folder, device="cpu", dtype="bfloat16")
    assert {parameter.dtype for parameter in half.reader.model.parameters()} == {torch.bfloat16}
    found, wanted = (one(question=QUESTION, context=CONTEXT, no_answer=False) for one in (half, predictor))
    assert found["score"] == pytest.approx(wanted["score"], rel=0.1)
    assert Predictor.from_pretrained(folder, device="cpu", dtype=torch.float32).device == torch.device("cpu")


def test_the_device_is_the_accelerator_where_there_is_one(folder):
    wanted = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")
    assert Predictor.from_pretrained(folder).device.type == wanted.type
