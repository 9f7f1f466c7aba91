"""What a call logs of its inputs; see also test_options.py for the commands that say it."""

from qa.inference.remarks import report_cut_questions, report_unknown_tokens
from tests.support.predictors import CONTEXT


def features(predictor, *questions, context=CONTEXT, **options):
    rows = [{"question": question, "context": context} for question in questions]
    chosen = predictor.options(**options)
    return rows, chosen, predictor.features(rows, chosen)


def test_a_question_that_is_read_whole_is_not_remarked_on(predictor, caplog):
    rows, options, found = features(predictor, "Who named it?", "When?", max_question_length=20)
    report_cut_questions(rows, ["a", "b"], found, predictor.encoder, options)
    assert not caplog.records


def test_a_cut_question_is_named_with_both_lengths(predictor, caplog):
    rows, options, found = features(predictor, "When?", "Who named the river " * 9 + "?", max_question_length=12)
    report_cut_questions(rows, ["input 0", "input 1"], found, predictor.encoder, options)
    assert "1 questions are cut to their first 12 tokens (windows have 96): input 1 has " in caplog.text


def test_unknown_tokens_are_remarked_on_once(predictor, caplog):
    _, _, found = features(predictor, "谁?", context="灯塔由拉格纳建造。" * 4)
    report_unknown_tokens(found, first=False)
    assert not caplog.records
    report_unknown_tokens(found, first=True)
    assert len(caplog.records) == 1
