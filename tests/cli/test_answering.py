"""Examples -> a predictor's answers to them, chunk by chunk."""

import pytest

from qa.cli import answering
from qa.cli.answering import progress
from qa.cli.flags import ModelFlags
from qa.cli.loading import load_predictor
from qa.data.examples import Examples
from tests.support import tiny


@pytest.fixture(scope="module")
def predictor(folder):
    return load_predictor(ModelFlags(model=str(folder), device="cpu"))


@pytest.mark.parametrize("at_once", [1, 4, 256])
def test_chunks_hold_all_examples_in_order_with_their_predictions(predictor, at_once, monkeypatch):
    monkeypatch.setattr(answering, "AT_ONCE", at_once)
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
