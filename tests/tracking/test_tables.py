"""The table of predictions: which answers it shows, and what of them."""

import dataclasses

import numpy as np

from qa.data.examples import Examples
from qa.decoding.predictions import Predictions
from qa.evaluation.slices import KINDS
from qa.tracking.tables import COLUMNS, prediction_table
from tests.support import tiny
from tests.support.tracking import EVALUATION, EXAMPLES


def rows_of(evaluation, most):
    table = prediction_table(evaluation, most, language="en")
    assert all(len(row) == len(COLUMNS) for row in table)
    return [dict(zip(COLUMNS, row, strict=True)) for row in table]


def test_a_row_tells_the_answer_beside_its_reference_in_the_context():
    first, second, third = rows_of(EVALUATION, 10)
    assert (first["prediction"], first["reference"], first["mistake"]) == ("0", "0", "right")
    assert (first["exact"], first["f1"], first["score"], first["probability"]) == (1.0, 1.0, 5.5, 0.5)
    assert "word [[[0]]] has the number >>>0<<< in" in first["context"]  # right by its text
    assert (second["prediction"], second["mistake"], second["f1"]) == ("", "missed", 0.0)
    assert "has the number [[[7]]] in" in second["context"]
    assert (third["prediction"], third["reference"], third["mistake"], third["score"]) == ("", "", "right", None)
    assert first["question word"] == "which"
    assert [row["answerable"] for row in (first, second, third)] == ["yes", "yes", "no"]


def test_windows_are_told_where_they_were_counted():
    assert [row["windows"] for row in rows_of(EVALUATION, 10)] == [None] * 3
    counted = dataclasses.replace(EVALUATION, windows=np.array([1, 2, 7]))
    assert [row["windows"] for row in rows_of(counted, 10)] == ["one", "two", "five and more"]


def test_without_references_there_is_nothing_to_compare_with():
    unscored = dataclasses.replace(EVALUATION, examples=Examples(rows=tiny.without_references(EXAMPLES.rows)))
    rows = rows_of(unscored, 10)
    assert [row["prediction"] for row in rows] == ["0", "", ""]
    assert {row[name] for row in rows for name in ("mistake", "exact", "f1", *KINDS)} == {None}
    assert {row["reference"] for row in rows} == {""}
    assert len(rows_of(unscored, 2)) == 2


def test_off_the_main_process_there_is_no_table():
    assert prediction_table(dataclasses.replace(EVALUATION, predictions=None), 10, language="en") == []


def test_errors_come_before_right_answers_wherever_they_are_in_the_set():
    """Of 60 examples the last ten are answered wrongly: they are shown, not the first ones."""
    examples = Examples(rows=tiny.small(60))
    places = [row["context"].index("number ") + 7 for row in examples.rows]
    texts = [
        row["context"][start : start + (len(str(at * 7)) if at < 50 else 0)] or "word"
        for at, (row, start) in enumerate(zip(examples.rows, places, strict=True))
    ]
    predictions = Predictions(
        ids=examples.rows["id"][:],
        bounds=np.arange(61),
        text=texts,
        start=np.array(places),
        end=np.array([start + len(text) for start, text in zip(places, texts, strict=True)]),
        start_logit=np.ones(60, dtype=np.float32),
        end_logit=np.ones(60, dtype=np.float32),
        probability=np.full(60, 0.5),
        null_logits=np.array([[9.0 * (at % 3 == 2), 0.0] for at in range(60)], dtype=np.float32),
        counted=np.ones(60, dtype=bool),
        null_probability=np.full(60, 0.5),
        null_possible=True,
    )
    shown = rows_of(dataclasses.replace(EVALUATION, examples=examples, predictions=predictions), 8)
    wrong = [row for row in shown if row["mistake"] != "right"]
    assert len(wrong) == 6
    assert all(int(row["id"][1:]) >= 50 for row in wrong)
    assert len(shown) - len(wrong) == 2
