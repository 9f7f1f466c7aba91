"""What is told of a reader, and the longest window that it takes."""

from dataclasses import replace

from qa.inference.loaded_reader import longest_for
from qa.modeling.settings import DEFAULT_SETTINGS
from tests.support import tiny


def test_the_longest_window_is_what_tokenizer_and_model_take_and_at_least_the_saved_one():
    tokenizer, settings = tiny.tokenizer(), replace(DEFAULT_SETTINGS, max_length=96)
    tokenizer.model_max_length = 512
    assert longest_for(settings, tokenizer, 128) == 128
    assert longest_for(settings, tokenizer, None) == 512
    assert longest_for(settings, tokenizer, 64) == 96


def test_facts_name_model_device_and_settings(predictor):
    facts = predictor.reader.facts()
    assert str(facts["device"]) == "cpu"
    assert facts["parameters"].endswith(" million")
    assert repr(predictor.reader) == f"LoadedReader({facts['model']} on cpu)"
