"""Flags -> predictor, and the options of a call."""

from dataclasses import asdict, fields, replace

import pytest

from qa.cli.flags import ModelFlags, ReadingFlags
from qa.cli.loading import call_options, load_predictor
from qa.errors import ConfigError
from qa.inference.options import CallOptions
from tests.support.predictors import SETTINGS


@pytest.mark.parametrize(("flag", "value"), [("device", "gpu7"), ("dtype", "int64")])
def test_the_flags_of_a_model_are_those_of_the_predictor(folder, flag, value):
    with pytest.raises(ConfigError, match=f"{flag} is '{value}'"):
        load_predictor(ModelFlags(model=str(folder), **{flag: value}))


def test_every_flag_about_reading_is_an_option_of_a_call():
    flags = ReadingFlags(max_length=96, no_answer=False)
    assert call_options(flags, SETTINGS, top_k=3, usual=5) == asdict(flags) | {"top_k": 3, "answers": "any"}
    assert {field.name for field in fields(ReadingFlags)} < CallOptions.__annotations__.keys()


@pytest.mark.parametrize(
    ("said", "trained", "top_k", "wanted"),
    [
        (None, "any", None, ("any", 5)),
        (None, "all", None, ("all", None)),
        ("all", "any", None, ("all", None)),
        ("any", "all", None, ("any", 5)),
        ("all", "any", 2, ("all", 2)),
    ],
)
def test_all_answers_are_listed_where_they_are_wanted(said, trained, top_k, wanted):
    options = call_options(ReadingFlags(answers=said), replace(SETTINGS, answers=trained), top_k=top_k, usual=5)
    assert (options["answers"], options["top_k"]) == wanted
