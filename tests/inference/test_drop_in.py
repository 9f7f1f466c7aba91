"""The class that transformers removed: its attributes, its steps, its defaults."""

import pytest
import torch
from transformers import AutoModelForQuestionAnswering, AutoTokenizer
from transformers.pipelines import Pipeline
from transformers.pipelines.base import ChunkPipeline

import qa
from qa.errors import ConfigError, ExampleError
from tests.support import tiny
from tests.support.predictors import CONTEXT, QUESTION, saved

LONG = f"{CONTEXT} " * 40


@pytest.fixture
def nlp(folder):
    return qa.pipeline("question-answering", model=str(folder), device="cpu")


def test_it_is_a_pipeline_with_the_attributes_of_one(nlp):
    assert isinstance(nlp, ChunkPipeline)
    assert isinstance(nlp, Pipeline)
    assert (nlp.task, nlp.framework, nlp.device) == ("question-answering", "pt", torch.device("cpu"))
    assert nlp.model.config.model_type == "bert"
    assert nlp.tokenizer(QUESTION)["input_ids"]
    assert nlp.handle_impossible_answer is False
    assert nlp.torch_dtype == nlp.dtype == torch.float32
    assert "BertForQuestionAnswering" in repr(nlp)
    assert not nlp.model.training


def test_it_saves_what_it_is_made_of(nlp, tmp_path):
    nlp.save_pretrained(tmp_path)
    assert qa.pipeline(model=tmp_path)(QUESTION, CONTEXT) == nlp(QUESTION, CONTEXT)


@pytest.mark.parametrize("reader", ["folder", "conditional"])
@pytest.mark.parametrize("context", [CONTEXT, LONG])
@pytest.mark.parametrize("given", [{}, {"top_k": 4, "handle_impossible_answer": True}, {"align_to_words": False}])
def test_its_steps_make_the_same_answers(reader, context, given, request):
    nlp = qa.pipeline("question-answering", model=str(request.getfixturevalue(reader)), device="cpu")
    windows = list(nlp.preprocess(nlp.create_sample(QUESTION, context), max_seq_len=96, doc_stride=24))
    assert [window["is_last"] for window in windows] == [False] * (len(windows) - 1) + [True]
    assert all(window["p_mask"].shape == window["input_ids"].shape for window in windows)
    with torch.inference_mode():
        outputs = [nlp._forward(window) for window in windows]
    assert all(len(output["start"]) == len(output["input_ids"]) == 1 for output in outputs)
    found = nlp.postprocess(outputs, **given)
    wanted = nlp(QUESTION, context, max_seq_len=96, doc_stride=24, **given)
    listed = (found, wanted) if isinstance(found, list) else ([found], [wanted])
    assert [one | {"score": 0} for one in listed[0]] == [one | {"score": 0} for one in listed[1]]
    assert [one["score"] for one in listed[0]] == pytest.approx([one["score"] for one in listed[1]], abs=1e-5)


def test_its_parts_may_be_replaced(nlp, tmp_path):
    before = nlp(QUESTION, CONTEXT)
    torch.manual_seed(7)
    other = AutoModelForQuestionAnswering.from_config(nlp.model.config).eval()
    first, nlp.model = nlp.model, other
    assert nlp(QUESTION, CONTEXT) != before
    nlp.model = first
    assert nlp(QUESTION, CONTEXT) == before
    nlp.model.to(torch.float64)
    assert nlp(QUESTION, CONTEXT) == pytest.approx(before, abs=1e-5)
    nlp.tokenizer = AutoTokenizer.from_pretrained(saved(tmp_path))
    assert nlp(QUESTION, CONTEXT) == pytest.approx(before, abs=1e-5)


def test_a_subclass_with_steps_of_its_own_may_use_ours(folder):
    class Doubled(qa.QuestionAnsweringPipeline):
        def postprocess(self, model_outputs, **given):
            return super().postprocess(model_outputs, **given) | {"twice": True}

    made = qa.pipeline(model=folder, pipeline_class=Doubled)
    windows = [made._forward(window) for window in made.preprocess({"question": QUESTION, "context": CONTEXT})]
    assert made.postprocess(windows)["twice"]


def test_defaults_are_those_of_the_removed_pipeline(folder, predictor):
    """Saved settings that know "no answer" and other lengths change nothing, unless they are asked for."""
    nlp = qa.pipeline(model=folder)
    found = nlp(QUESTION, LONG)
    spelled = {"max_answer_len": 15, "max_seq_len": 384, "doc_stride": 128, "align_to_words": True, "no_answer": False}
    (wanted,) = predictor.answers(
        [{"question": QUESTION, "context": LONG}], predictor.options(score="window", **spelled)
    )
    assert found == pytest.approx({name: wanted[0][name] for name in found})
    assert found["answer"]
    assert predictor(question=QUESTION, context=LONG)["no_answer_score"] > 0.0


def test_the_score_of_our_predictor_can_be_had(nlp, predictor):
    given = {"max_answer_length": 15, "max_length": 384, "doc_stride": 128, "no_answer": False}
    found = nlp(QUESTION, CONTEXT, score="probability", top_k=3, align_to_words=False)
    wanted = predictor(question=QUESTION, context=CONTEXT, top_k=3, **given)
    assert found == [{name: one[name] for name in found[0]} for one in wanted]


def test_windows_are_never_longer_than_the_tokenizer_says():
    """As there, where 384 tokens were the most unless a call said otherwise."""
    tokenizer = tiny.fresh_tokenizer()
    tokenizer.model_max_length = 64
    made = qa.pipeline(model=tiny.model(), tokenizer=tokenizer)
    assert max(len(window["input_ids"][0]) for window in made.preprocess(made.create_sample(QUESTION, LONG))) == 64


def test_answers_do_not_depend_on_the_batch(nlp):
    rows = [{"question": QUESTION, "context": LONG}, {"question": "When?", "context": CONTEXT}] * 2
    assert nlp(rows, batch_size=1) == [pytest.approx(one, abs=1e-5) for one in nlp(rows, batch_size=64)]


def test_samples_are_paired_as_inputs_are(nlp):
    one, other = nlp.create_sample([QUESTION, QUESTION], CONTEXT)
    assert one == other == nlp.create_sample(QUESTION, CONTEXT)
    assert [one.context_text for one in nlp.create_sample(QUESTION, [CONTEXT, LONG])] == [CONTEXT, LONG]
    with pytest.raises(ExampleError, match="found 2 questions and 3 contexts"):
        nlp.create_sample([QUESTION] * 2, [CONTEXT] * 3)


@pytest.mark.parametrize(("given", "window"), [({"max_seq_len": 32}, 32), ({}, 384)])
def test_a_stride_beyond_the_window_is_refused_as_there(nlp, given, window):
    with pytest.raises(ConfigError, match=f"doc_stride is {window + 1}, and max_seq_len {window}; wanted a stride"):
        nlp(QUESTION, CONTEXT, doc_stride=window + 1, **given)
    assert nlp(QUESTION, CONTEXT, doc_stride=window, **given)["answer"]
