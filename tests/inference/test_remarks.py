"""What is remarked on a call's inputs; see also test_options.py for the commands that say it."""

from qa.inference.remarks import RemarksOfCall, remarks_on
from tests.support.predictors import CONTEXT

STRANGE = {"question": "谁?", "context": "灯塔由拉格纳建造。" * 4}


def remarked(predictor, *questions, context=CONTEXT, **options):
    rows = [{"question": question, "context": context} for question in questions]
    chosen = predictor.options(**options)
    ids = [f"input {at}" for at in range(len(rows))]
    return remarks_on(rows, ids, predictor.features(rows, chosen), predictor.encoder, chosen)


def test_a_question_that_is_read_whole_is_not_remarked_on(predictor):
    assert remarked(predictor, "Who named it?", "When?", max_question_length=20).doubts == []


def test_a_cut_question_is_named_with_both_lengths(predictor):
    (doubt,) = remarked(predictor, "When?", "Who named the river " * 9 + "?", max_question_length=12).doubts
    assert doubt["kind"] == "question_cut"
    assert doubt["detail"].startswith("1 questions are cut to their first 12 tokens (windows have 96): input 1 has ")


def test_a_stride_that_leaves_no_step_is_named_where_there_are_several_windows(predictor):
    given = {"max_length": 48, "doc_stride": 45}
    (doubt,) = remarked(predictor, "Who named it?", "When?", context=CONTEXT * 3, **given).doubts
    assert doubt["kind"] == "stride_cut"
    assert doubt["detail"] == (
        "doc_stride is 45: of windows of 48 tokens neighbours share half of what 2 questions leave instead: "
        "input 0 has 41 beside its question, input 1 has 43 beside its question"
    )
    assert remarked(predictor, "When?", context="In 1541.", **given).doubts == []
    assert remarked(predictor, "When?", context=CONTEXT * 3, max_length=48, doc_stride=42).doubts == []


def test_unknown_tokens_are_logged_once_a_call_and_told_of_every_chunk(predictor, caplog, monkeypatch):
    monkeypatch.setattr("qa.inference.options.INPUTS_AT_ONCE", 2)
    told = RemarksOfCall()
    listener = predictor.telling(told.take)
    assert listener([STRANGE] * 5) == predictor([STRANGE] * 5)
    assert len(caplog.records) == 2  # of two calls
    assert "does not know these texts" in caplog.text
    assert told.all.unknown.in_questions == 5 * remarked(predictor, "谁?").unknown.in_questions
    assert [doubt["kind"] for doubt in told.all.doubts] == ["unknown_tokens"]


def test_a_blank_context_is_not_unknown(predictor):
    """The removed pipeline's calls have such, and a blank answer to them."""
    assert remarked(predictor, "Who named it?", context=" \n").doubts == []
    assert remarked(predictor, "Who named it?", context=" \n").unknown.in_contexts == 0
