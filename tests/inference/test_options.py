"""What a call says, filled up with what the reader was saved with."""

import pytest

from qa.errors import ConfigError
from qa.features.windows import build_features
from qa.inference import predictor as predicting
from tests.support import tiny
from tests.support.predictors import CONTEXT, QUESTION, SETTINGS, as_texts, pairs, with_settings


def test_windows_follow_the_call(predictor):
    def windows(**call):
        options = predictor.options(**call)
        return build_features(tiny.examples(tiny.example(QUESTION, CONTEXT * 20)), tiny.tokenizer(), options.features)

    assert windows().lengths.max() == SETTINGS.max_length
    assert windows(max_length=48).lengths.max() == 48
    assert len(windows(doc_stride=60)) > len(windows(doc_stride=0))


def test_a_window_shorter_than_the_question_cuts_the_question(predictor):
    found = predictor(question=QUESTION * 9, context=CONTEXT, max_length=16, no_answer=False)
    assert found["answer"]


def test_answers_are_as_short_as_asked(predictor):
    found = predictor(question=QUESTION, context=CONTEXT, max_answer_length=1, top_k=20, no_answer=False)
    tokens = tiny.tokenizer()(CONTEXT, return_offsets_mapping=True, add_special_tokens=False)["offset_mapping"]
    assert {(one["start"], one["end"]) for one in found} <= set(tokens)


def test_batches_are_as_large_as_asked(predictor, monkeypatch):
    sizes = []
    real = predicting.find_spans

    def counted(model, batches, decoding, **more):
        return real(model, (sizes.append(len(batch)) or batch for batch in batches), decoding, **more)

    monkeypatch.setattr(predicting, "find_spans", counted)
    predictor(pairs(20), batch_size=5)
    assert max(sizes) == 5
    assert sizes[:-1] == [5] * (len(sizes) - 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top_k": 0}, "top_k is 0"),
        ({"max_answer_length": 0}, "max-answer-tokens"),
        ({"max_length": 4}, "max-length"),
        ({"max_length": 10_000}, "at most 512 tokens"),
        ({"doc_stride": -1}, "doc-stride"),
        ({"batch_size": 0}, "batch-size"),
    ],
)
def test_options_out_of_range_are_refused_before_anything_is_read(predictor, options, message):
    def inputs():
        pytest.fail("read")
        yield

    with pytest.raises(ConfigError, match=message):
        predictor(inputs(), **options)


def test_no_answer_is_as_the_model_was_saved_unless_the_call_says_otherwise(predictor):
    v1 = with_settings(predictor, null_possible=False)
    assert all(one["no_answer_score"] == 0 and one["answer"] for one in v1(pairs(10)))
    assert all(one["no_answer_score"] == 0 and one["answer"] for one in predictor(pairs(10), no_answer=False))
    assert all(one["no_answer_score"] > 0 for one in v1(pairs(10), no_answer=True))
    assert v1(pairs(10), no_answer=True) == predictor(pairs(10))


def test_the_threshold_decides(predictor):
    never, always = predictor(pairs(10), no_answer=1e6), predictor(pairs(10), no_answer=-1e6)
    assert all(one["answer"] for one in never)
    assert {(one["answer"], one["start"], one["end"]) for one in always} == {("", 0, 0)}
    assert as_texts(with_settings(predictor, no_answer_threshold=1e6)(pairs(10))) == as_texts(never)
    assert with_settings(predictor, no_answer_threshold=1e6)(pairs(10), no_answer=0.0) == predictor(pairs(10))


def test_a_threshold_keeps_the_order_of_scores(predictor):
    for threshold in (-2.0, -0.3, 0.2, 1.0):
        for found in predictor(pairs(15), no_answer=threshold, top_k=20):
            scores = [one["score"] for one in found]
            assert scores == sorted(scores, reverse=True)
            assert sum(scores) <= 1 + 1e-9


def test_the_temperature_changes_scores_only(predictor):
    cold, hot = (
        with_settings(predictor, temperature=0.5)(pairs(10)),
        with_settings(predictor, temperature=4.0)(pairs(10)),
    )
    assert as_texts(cold) == as_texts(hot)
    assert all(one["score"] > other["score"] for one, other in zip(cold, hot, strict=True))


def test_the_pipelines_names_of_arguments_mean_the_same(predictor):
    long = " ".join(["It rains.", CONTEXT] * 9)
    ours = {"max_answer_length": 2, "max_length": 64, "no_answer": True}
    theirs = {"max_answer_len": 2, "max_seq_len": 64, "handle_impossible_answer": True}
    found = predictor(question=QUESTION, context=long, top_k=5, **theirs)
    assert found == predictor(question=QUESTION, context=long, top_k=5, **ours)
    assert found != predictor(question=QUESTION, context=long, top_k=5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"max_answer_len": 2, "max_answer_length": 3}, "max_answer_len and max_answer_length"),
        ({"max_answer_tokens": 2}, "found the argument max_answer_tokens; wanted one of top_k"),
    ],
)
def test_unknown_or_doubled_arguments_are_refused(given, message, predictor):
    with pytest.raises(ConfigError, match=message):
        predictor(question=QUESTION, context=CONTEXT, **given)
