"""Flags -> predictor, and the options of a call."""

from dataclasses import asdict, fields

import pytest

from qa.cli.flags import ModelFlags, ReadingFlags
from qa.cli.loading import call_options, load_predictor
from qa.errors import ConfigError
from qa.inference.options import CallOptions


@pytest.mark.parametrize(("flag", "value"), [("device", "gpu7"), ("dtype", "int64")])
def test_the_flags_of_a_model_are_those_of_the_predictor(folder, flag, value):
    with pytest.raises(ConfigError, match=f"{flag} is '{value}'"):
        load_predictor(ModelFlags(model=str(folder), **{flag: value}))


def test_every_flag_about_reading_is_an_option_of_a_call():
    options = call_options(ReadingFlags(max_length=96, no_answer=False), top_k=3)
    assert options == asdict(ReadingFlags(max_length=96, no_answer=False)) | {"top_k": 3}
    assert {field.name for field in fields(ReadingFlags)} < CallOptions.__annotations__.keys()
