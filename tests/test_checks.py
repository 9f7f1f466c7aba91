"""Settings are checked where they are made; what is wrong is said as on the command line."""

import math
from dataclasses import dataclass
from pathlib import Path

import pytest

from qa.checks import Settings, flat_values, number_of, require
from qa.errors import ConfigError


@dataclass(frozen=True)
class Part(Settings):
    most_steps: int | None = 5
    learning_rate: float | None = 0.1
    folder: Path | None = None
    source: str = "here"

    def __post_init__(self):
        self._expand_home("folder", "source")
        self._require_least("part.", most_steps=2)
        self._require_positive("part.", "learning_rate")


def test_a_wrong_setting_is_named_as_its_flag_is():
    require(True, "any_thing", 3, "no check")
    with pytest.raises(ConfigError, match=r"^part\.batch-size is 'x'; wanted a number$"):
        require(False, "part.batch_size", "x", "a number")


@pytest.mark.parametrize("value", [2, 3, None])
def test_the_smallest_value_and_none_are_taken(value):
    assert Part(most_steps=value).most_steps == value


@pytest.mark.parametrize("value", [1, -5, math.inf, math.nan])
def test_smaller_values_and_no_numbers_are_refused(value):
    with pytest.raises(ConfigError, match=r"part\.most-steps is .*; wanted 2 or more"):
        Part(most_steps=value)


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_what_must_be_positive_is_neither_zero_nor_endless(value):
    with pytest.raises(ConfigError, match=r"part\.learning-rate is .*; wanted more than 0"):
        Part(learning_rate=value)
    assert Part(learning_rate=1e-30).learning_rate == 1e-30


def test_a_tilde_that_no_shell_has_seen_is_the_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    part = Part(folder=Path("~/runs"), source="~/data.json")
    assert (part.folder, part.source) == (Path("/home/ada/runs"), "/home/ada/data.json")
    assert Part(folder=Path("a/~b")).folder == Path("a/~b")


@pytest.mark.parametrize(
    ("text", "number"), [("1e-3", 0.001), (" 7 ", 7.0), ("", None), ("1,5", None), ("seven", None)]
)
def test_a_text_is_a_number_or_none(text, number):
    assert number_of(text) == number


def test_nested_values_are_named_by_their_path_and_others_than_plain_ones_are_json():
    values = {"seed": 3, "data": {"name": "a", "parts": (1, "b"), "none": None, "deep": {"folder": Path("x")}}}
    flat = {"seed": 3, "data/name": "a", "data/parts": '[1, "b"]', "data/none": "null", "data/deep/folder": '"x"'}
    assert flat_values(values) == flat
