"""What a call says, filled up with what the reader was saved with."""

import math

import numpy as np
import pytest

from qa.errors import ConfigError
from qa.features.windows import build_features
from qa.inference.options import CallOptions, answer_options
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


def test_batches_are_as_large_as_asked(predictor):
    sizes = []

    def counted(_module, _arguments, inputs):
        sizes.append(len(inputs["input_ids"]))

    hook = predictor.reader.model.register_forward_pre_hook(counted, with_kwargs=True)
    predictor(pairs(20), batch_size=5)
    hook.remove()
    assert max(sizes) == 5
    assert sizes[:-1] == [5] * (len(sizes) - 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top_k": 0}, "top_k is 0; wanted a whole number, 1 or more"),
        ({"top_k": -1}, "top_k is -1"),
        ({"top_k": 2.5}, "top_k is 2.5; wanted a whole number"),
        ({"top_k": "3"}, "top_k is '3'; wanted a whole number"),
        ({"top_k": True}, "top_k is True"),
        ({"topk": math.nan}, "topk is nan"),
        ({"max_answer_length": 0}, "max_answer_length is 0"),
        ({"max_answer_len": 5.5}, "max_answer_len is 5.5"),
        ({"max_length": 4}, "max_length is 4; wanted a whole number, 8 or more"),
        ({"max_length": 10_000}, "at most 512 tokens"),
        ({"max_seq_len": math.inf}, "max_seq_len is inf"),
        ({"max_question_length": 0}, "max_question_length is 0"),
        ({"max_question_len": [64]}, "max_question_len is"),
        ({"doc_stride": -1}, "doc_stride is -1"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": "8"}, "batch_size is '8'"),
        ({"no_answer": math.nan}, "no_answer is nan; wanted True, False, or a finite number"),
        ({"no_answer": -math.inf}, "no_answer is -inf"),
        ({"no_answer": 10**400}, "no_answer is 1000"),
        ({"no_answer": "yes"}, "no_answer is 'yes'"),
        ({"handle_impossible_answer": 0.5}, "handle_impossible_answer is 0.5; wanted True or False"),
        ({"align_to_words": "no"}, "align_to_words is 'no'; wanted True or False"),
        ({"overlap": 2}, "overlap is 2; wanted a share, 0 to 1"),
        ({"overlap": math.nan}, "overlap is nan"),
        ({"overlap": False}, "overlap is False"),
        ({"score": "logits"}, "score is 'logits'; wanted one of 'probability', 'window'"),
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


def test_answers_are_the_shorter_the_more_length_costs(predictor):
    costs = (-0.2, 0.0, 100.0)
    long, free, dearest = (with_settings(predictor, length_cost=cost)(pairs(15)) for cost in costs)
    words = [sum(len(text.split()) for text, _, _ in as_texts(found)) for found in (long, free, dearest)]
    assert words[0] > words[1] > words[2]
    shortest = predictor(pairs(15), max_answer_length=1)
    assert as_texts(dearest) == as_texts(shortest)


def test_what_length_costs_has_no_part_in_the_removed_pipelines_scores(predictor):
    dear = with_settings(predictor, length_cost=2.0)
    assert dear(pairs(10)) != predictor(pairs(10))
    assert dear(pairs(10), score="window") == predictor(pairs(10), score="window")


def test_the_answer_does_not_depend_on_how_many_are_asked_for(predictor):
    agreed = with_settings(predictor, choice="overlap", n_best=5, length_cost=0.3, null_possible=False)
    first = [found[0] for found in agreed(pairs(15), top_k=40)]
    assert as_texts(first) == as_texts(agreed(pairs(15)))


def test_the_answer_may_be_what_likely_ones_agree_about(predictor):
    agreed = with_settings(predictor, choice="overlap", length_cost=0.1)
    likeliest = with_settings(predictor, length_cost=0.1)
    assert as_texts(agreed(pairs(15))) != as_texts(likeliest(pairs(15)))
    assert agreed(pairs(15), score="window") == predictor(pairs(15), score="window")
    assert agreed(pairs(15), answers="all") == likeliest(pairs(15), answers="all")
    contexts = [pair["context"] for pair in pairs(15)]
    assert agreed.search(QUESTION, contexts) == likeliest.search(QUESTION, contexts)
    assert agreed.evidence(QUESTION, contexts) == likeliest.evidence(QUESTION, contexts)
    for found, other in zip(agreed(pairs(15), top_k=20), likeliest(pairs(15), top_k=20), strict=True):
        assert sorted(as_texts(found)) == sorted(as_texts(other))
        assert (found[0]["answer"] == "") == (other[0]["answer"] == "")


def test_the_pipelines_names_of_arguments_mean_the_same(predictor):
    long = " ".join(["It rains.", CONTEXT] * 9)
    ours = {"max_answer_length": 2, "max_length": 64, "no_answer": True}
    theirs = {"max_answer_len": 2, "max_seq_len": 64, "handle_impossible_answer": True}
    found = predictor(question=QUESTION, context=long, top_k=5, **theirs)
    assert found == predictor(question=QUESTION, context=long, top_k=5, **ours)
    assert found != predictor(question=QUESTION, context=long, top_k=5)


@pytest.mark.parametrize(
    "given",
    [
        {"top_k": 3.0, "max_answer_length": np.float64(5), "max_length": 64.0},
        {"top_k": np.int32(3), "max_answer_length": np.uint8(5), "max_length": np.int64(64)},
        {"topk": 3, "max_answer_len": 5.0, "max_seq_len": 64, "max_question_len": None, "batch_size": None},
    ],
)
def test_whole_numbers_are_taken_whatever_their_type(predictor, given):
    wanted = predictor(question=QUESTION, context=CONTEXT, top_k=3, max_answer_length=5, max_length=64)
    assert predictor(question=QUESTION, context=CONTEXT, **given) == wanted


def test_none_is_as_if_nothing_was_said(predictor):
    said = dict.fromkeys(CallOptions.__annotations__)
    assert predictor(question=QUESTION, context=CONTEXT, **said) == predictor(question=QUESTION, context=CONTEXT)
    contexts = [CONTEXT, "No."]
    assert predictor.search(QUESTION, contexts, **said) == predictor.search(QUESTION, contexts)


def test_numbers_beyond_any_text_mean_no_bound(predictor):
    huge = dict.fromkeys(("top_k", "max_answer_length", "doc_stride", "batch_size", "max_question_length"), 10**30)
    found = predictor(question=QUESTION, context="Yes, no.", no_answer=False, **huge)
    assert len(found) == len(predictor(question=QUESTION, context="Yes, no.", no_answer=False, top_k=1000))


@pytest.mark.parametrize("off", [False, np.bool_(False), 0, np.int64(0), np.False_])
def test_the_pipelines_name_of_no_answer_is_a_flag_whatever_its_type(predictor, off):
    wanted = predictor(question=QUESTION, context=CONTEXT, no_answer=False)
    assert wanted["no_answer_score"] == 0
    assert predictor(question=QUESTION, context=CONTEXT, handle_impossible_answer=off) == wanted
    on = predictor(question=QUESTION, context=CONTEXT, handle_impossible_answer=not off)
    assert on["no_answer_score"] > 0


def test_no_answer_is_a_flag_or_a_threshold(predictor):
    off, on = (predictor(question=QUESTION, context=CONTEXT, no_answer=np.bool_(value)) for value in (False, True))
    assert off["no_answer_score"] == 0
    assert on["no_answer_score"] > 0
    for zero in (0, 0.0, np.float32(0)):
        assert predictor(question=QUESTION, context=CONTEXT, no_answer=zero) == on


def test_every_option_is_checked():
    assert set(checked_names()) == set(CallOptions.__annotations__)


def checked_names():
    with pytest.raises(ConfigError) as error:
        answer_options({"unknown": 1}, SETTINGS, longest=512, special_tokens=3)
    return str(error.value).split("wanted one of ")[1].split(", ")


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


# --- long questions ---

STORY = "In the long story of the towers, of which many clerks wrote in books that nobody reads, "


def test_a_question_is_read_as_far_as_the_window_allows(predictor):
    long = [{"question": STORY + end, "context": CONTEXT} for end in ("who named the river?", "how much water?")]
    one, other = predictor(long, no_answer=False, max_length=512)
    assert one != other
    cut = predictor(long, no_answer=False, max_length=512, max_question_length=20)
    assert cut[0] == cut[1] == predictor(**long[0], no_answer=False, max_seq_len=512, max_question_len=20)


def test_what_is_cut_off_a_question_is_said(predictor, caplog):
    question = STORY * 30
    tokens = len(tiny.tokenizer()(question, add_special_tokens=False)["input_ids"])
    predictor(question=[QUESTION, question], context=CONTEXT)
    most = (SETTINGS.max_length - 3) * 3 // 4
    assert f"cut to their first {most} tokens" in caplog.text
    assert f"input 1 has {tokens} tokens" in caplog.text
    assert "input 0" not in caplog.text


def test_nothing_is_said_of_questions_that_are_read_whole(predictor, caplog):
    tokens = len(tiny.tokenizer()(QUESTION, add_special_tokens=False)["input_ids"])
    predictor(question=QUESTION, context=CONTEXT, max_question_length=tokens)
    assert not caplog.text


def test_a_question_leaves_room_for_the_context(predictor):
    options = predictor.options(max_length=96, max_question_length=1000)
    assert options.features.max_question_length == (96 - 3) * 3 // 4
    assert predictor.options(max_length=96, max_question_length=7).features.max_question_length == 7
