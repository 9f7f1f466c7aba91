"""Flags -> predictor, and its answers to examples."""

from dataclasses import asdict, fields

import pytest

from qa.cli import loading
from qa.cli.flags import ModelFlags, ReadingFlags
from qa.cli.loading import call_options, load_predictor, progress
from qa.data.examples import Examples
from qa.errors import ConfigError
from qa.inference.options import CallOptions
from tests.support import tiny


@pytest.fixture(scope="module")
def predictor(folder):
    return load_predictor(ModelFlags(model=str(folder), device="cpu"))


@pytest.mark.parametrize(("flag", "value"), [("device", "gpu7"), ("dtype", "int64")])
def test_the_flags_of_a_model_are_those_of_the_predictor(folder, flag, value):
    with pytest.raises(ConfigError, match=f"{flag} is '{value}'"):
        load_predictor(ModelFlags(model=str(folder), **{flag: value}))


def test_every_flag_about_reading_is_an_option_of_a_call():
    options = call_options(ReadingFlags(max_length=96, no_answer=False), top_k=3)
    assert options == asdict(ReadingFlags(max_length=96, no_answer=False)) | {"top_k": 3}
    assert {field.name for field in fields(ReadingFlags)} < CallOptions.__annotations__.keys()


@pytest.mark.parametrize("at_once", [1, 4, 256])
def test_chunks_hold_all_examples_in_order_with_their_predictions(predictor, at_once, monkeypatch):
    monkeypatch.setattr(loading, "AT_ONCE", at_once)
    examples = Examples(rows=tiny.small(9))
    options = predictor.options(top_k=1)
    chunks = list(progress(predictor, examples, options))
    assert [len(rows) for rows, _ in chunks] == [min(at_once, 9 - at) for at in range(0, 9, at_once)]
    assert [row["id"] for rows, _ in chunks for row in rows] == examples.rows["id"][:]
    for rows, predictions in chunks:
        assert len(predictions) == len(rows)
    whole = predictor(list(examples.rows.remove_columns(["answers"])))
    assert [text for _, found in chunks for text in found.texts(options.threshold)] == [one["answer"] for one in whole]


def test_a_bar_is_for_terminals(predictor, capsys):
    list(progress(predictor, Examples(rows=tiny.small(2)), predictor.options()))
    assert capsys.readouterr().err == ""
