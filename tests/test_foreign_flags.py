"""Whoever comes from run_qa is told what their flags are called here."""

import dataclasses
import re

import pytest

from qa.config import RunConfig
from qa.errors import ConfigError
from qa.foreign_flags import HINTS, require_own_flags
from qa.presets import parse_config


def own_flags(config, prefix="--"):
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from own_flags(value, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}".replace("_", "-")


OWN = set(own_flags(RunConfig()))


@pytest.mark.parametrize(
    ("flag", "told"),
    [
        ("--model_name_or_path", "--model"),
        ("--train_file", "--train-data"),
        ("--per_device_train_batch_size", "--training.batch-size"),
        ("--max_seq_length", "--features.max-length"),
        ("--doc_stride", "--features.doc-stride"),
        ("--version_2_with_negative", "the data say it"),
        ("--n_best_size", "--decoding.n-best"),
    ],
)
def test_a_flag_of_run_qa_is_answered_with_ours(flag, told):
    for form in (flag, flag.replace("_", "-"), f"{flag}=3"):
        with pytest.raises(ConfigError, match=re.escape(form.partition("=")[0])) as error:
            parse_config(["--seed", "3", form])
        assert told in str(error.value)


def test_all_flags_of_run_qa_are_told_at_once():
    with pytest.raises(ConfigError) as error:
        parse_config(["--train_file", "a.json", "--validation_file", "b.json"])
    assert str(error.value).count("\n") == 2


def test_hints_name_flags_that_there_are_and_forbid_none_of_them():
    for name, hint in HINTS.items():
        assert f"--{name}".replace("_", "-") not in OWN
        named = set(re.findall(r"--[a-z][a-z.-]*[a-z]", hint)) - {"--mixed"}
        assert named <= OWN, name


@pytest.mark.parametrize("flags", [[], ["--seed", "3"], ["--output_dir", "x"], ["--training.learning_rate", "1e-4"]])
def test_our_own_flags_pass(flags):
    require_own_flags(flags)
