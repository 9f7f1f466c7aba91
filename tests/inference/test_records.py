"""What is written for every row."""

from qa.inference.records import records_of
from tests.support.predictors import KEYS, pairs


def written(predictor, **given):
    options = predictor.options(**given)
    return [
        record
        for rows, predictions in predictor.predictions(pairs(4), options)
        for record in records_of([row["context"] for row in rows], predictions, options)
    ]


def test_a_record_is_the_answer_and_what_other_thresholds_need(predictor):
    for record, answer in zip(written(predictor), predictor(pairs(4)), strict=True):
        assert {name: record[name] for name in answer} == answer
        assert set(record) == KEYS | {"best_span", "null_odds"}
        assert (record["answer"] == "") == (record["null_odds"] > 0)


def test_no_answer_leaves_the_best_span(predictor):
    for record in written(predictor, no_answer=-1e6):
        assert record["answer"] == ""
        assert record["best_span"]


def test_several_answers_are_listed_beside_the_best(predictor):
    for record in written(predictor, top_k=3):
        assert len(record["answers"]) == 3
        assert record["answers"][0]["answer"] == record["answer"]
