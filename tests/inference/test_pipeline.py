"""The function that transformers removed: what it takes, what it hands on, what it refuses."""

import importlib
import logging

import pytest
import torch
import transformers
from transformers import AutoConfig, AutoModelForMaskedLM, AutoModelForQuestionAnswering, AutoTokenizer, pipelines

import qa
from qa import metrics
from qa.errors import ConfigError, ModelError
from tests.support import tiny
from tests.support.predictors import CONTEXT, QUESTION
from tests.support.restored import pipeline_restored

without_accelerator = pytest.mark.skipif(torch.accelerator.is_available(), reason="of a machine without one")


@pytest.fixture(scope="module")
def nlp(folder):
    return qa.pipeline("question-answering", model=str(folder), device="cpu")


@pytest.fixture(scope="module")
def loaded(folder):
    return AutoModelForQuestionAnswering.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)


def asked(nlp, **given):
    return nlp(question=QUESTION, context=CONTEXT, **given)


# --- what it takes ---


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"task": None},
        {"framework": "pt", "use_fast": True},
        {"torch_dtype": torch.float32},
        {"dtype": "float32"},
        {"dtype": "auto"},
        {"device": -1},
        {"device_map": "auto"},
        {"device_map": "cpu"},
        {"device_map": {"": "cpu"}},
        {"model_kwargs": {"attn_implementation": "eager"}},
        {"token": False, "trust_remote_code": False},
        {"num_workers": 2},
    ],
)
def test_arguments_that_change_no_answer_are_taken(folder, nlp, given):
    made = qa.pipeline(**({"task": "question-answering", "model": folder} | given))
    assert asked(made) == pytest.approx(asked(nlp), abs=1e-5)


def test_parts_are_taken_by_name_and_loaded(folder, nlp, loaded):
    model, tokenizer = loaded
    forms = (
        {"model": model, "tokenizer": tokenizer},
        {"model": model, "tokenizer": str(folder)},
        {"model": str(folder), "tokenizer": tokenizer},
        {"model": str(folder), "tokenizer": (str(folder), {"use_fast": False})},
        {"model": folder, "config": str(folder)},
        {"model": folder, "config": AutoConfig.from_pretrained(folder), "tokenizer": folder},
    )
    for form in forms:
        assert asked(qa.pipeline("question-answering", **form)) == asked(nlp)
    assert asked(qa.pipeline("question-answering", str(folder), None, tokenizer)) == asked(nlp)
    assert asked(qa.QuestionAnsweringPipeline(model=model, tokenizer=tokenizer)) == asked(nlp)
    assert asked(qa.QuestionAnsweringPipeline(model, tokenizer, device=-1, framework="pt")) == asked(nlp)


class Wrapped(torch.nn.Module):
    """As peft wraps a model."""

    def __init__(self, model):
        super().__init__()
        self.base_model = model

    def get_base_model(self):
        return self.base_model

    def forward(self, *args, **given):
        return self.base_model(*args, **given)


def test_wrapped_models_are_taken(nlp, loaded):
    model, tokenizer = loaded
    for wrapped in (torch.compile(model, backend="eager"), Wrapped(model), Wrapped(Wrapped(model))):
        assert asked(qa.pipeline(model=wrapped, tokenizer=tokenizer)) == pytest.approx(asked(nlp), abs=1e-5)


def test_options_of_all_calls_are_taken_at_construction(folder, nlp):
    given = {"top_k": 3, "handle_impossible_answer": True, "max_answer_len": 4, "align_to_words": False}
    made = qa.pipeline("question-answering", model=folder, **given)
    assert asked(made) == asked(nlp, **given)
    assert asked(made, top_k=1) == asked(nlp, **(given | {"top_k": 1}))


def test_a_loaded_model_keeps_its_precision_unless_another_is_asked_for(folder):
    model, tokenizer = AutoModelForQuestionAnswering.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    model.to(torch.bfloat16)
    assert qa.pipeline(model=model, tokenizer=tokenizer).model.dtype == torch.bfloat16
    assert qa.pipeline(model=model, tokenizer=tokenizer, torch_dtype=torch.float32).model.dtype == torch.float32
    assert qa.pipeline(model=folder, dtype="bfloat16").model.dtype == torch.bfloat16
    assert qa.pipeline(model=folder).model.dtype == torch.float32


@without_accelerator
@pytest.mark.parametrize("number", [0, 1])
def test_a_number_of_an_accelerator_falls_back_to_the_cpu_with_a_warning(folder, nlp, number, caplog):
    assert asked(qa.pipeline(model=folder, device=number)) == asked(nlp)
    assert f"device is {number}, and this machine has no accelerator" in caplog.text


# --- other tasks ---


def test_other_tasks_are_handed_on(folder, tmp_path):
    AutoModelForMaskedLM.from_config(AutoConfig.from_pretrained(folder)).save_pretrained(tmp_path)
    tiny.tokenizer().save_pretrained(tmp_path)
    fill = qa.pipeline("fill-mask", model=str(tmp_path), device=-1)
    assert isinstance(fill, transformers.FillMaskPipeline)
    assert len(fill(f"The {fill.tokenizer.mask_token} is long.", top_k=2)) == 2


def test_an_unknown_task_is_transformers_own_error(folder):
    with pytest.raises(KeyError, match="Unknown task nothing-of-the-kind"):
        qa.pipeline("nothing-of-the-kind", model=str(folder))


# --- refusals ---


def test_what_cannot_be_made_is_refused(folder, loaded, tmp_path):
    model, _ = loaded
    tiny.tokenizer().save_pretrained(tmp_path)
    AutoModelForMaskedLM.from_config(AutoConfig.from_pretrained(folder)).save_pretrained(tmp_path)
    refused = (
        ({"model": folder, "framework": "tf"}, ConfigError, "framework is 'tf'; wanted 'pt'"),
        ({"model": folder, "device": "cuda:99"}, ConfigError, "device is 'cuda:99'; this machine has cpu"),
        ({"model": folder, "dtype": "float7"}, ConfigError, "dtype is 'float7'; wanted one of float32"),
        ({"model": folder, "top_k": 0}, ConfigError, "top_k is 0"),
        ({"model": model}, ConfigError, "found a loaded model and no tokenizer"),
        ({"model": tmp_path}, ModelError, "has no span head"),
        ({"model": tmp_path, "dtype": "auto"}, ModelError, "has no span head"),
        ({"model": tmp_path / "none"}, ModelError, "no such folder"),
        ({"model": folder, "tokenizer": "./none"}, ModelError, "'./none' does not load"),
    )
    for given, error, message in refused:
        with pytest.raises(error, match=message):
            qa.pipeline("question-answering", **given)


def test_an_argument_that_means_nothing_is_ignored_aloud(folder, nlp, caplog):
    """As the removed pipeline ignored it, silently."""
    with caplog.at_level(logging.WARNING):
        assert asked(qa.pipeline(model=folder, temperatur=3)) == asked(nlp)
    assert "the argument temperatur means nothing" in caplog.text


# --- transformers' own function ---


@pytest.fixture
def restored():
    with pipeline_restored():
        yield


@pytest.mark.usefixtures("restored")
def test_transformers_function_and_class_are_found_again_on_demand(folder, nlp):
    made = transformers.pipeline("question-answering", model=str(folder), device=-1)
    assert isinstance(made, qa.QuestionAnsweringPipeline)
    assert asked(made) == asked(nlp)
    from transformers import QuestionAnsweringPipeline as Found  # as packages do it, in their functions

    module = importlib.import_module("transformers.pipelines.question_answering")
    assert Found is qa.QuestionAnsweringPipeline
    assert module.QuestionAnsweringPipeline is pipelines.QuestionAnsweringPipeline is qa.QuestionAnsweringPipeline
    assert module.SquadExample("a", "b").question_text == "a"
    qa.restore_pipeline()  # once more changes nothing
    assert asked(transformers.pipeline("question-answering", model=str(folder))) == asked(nlp)


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("what", ["folder", "pipeline"])
def test_the_evaluator_of_the_evaluate_package_scores_a_reader(folder, nlp, what):
    from evaluate import evaluator

    data = tiny.small(6)
    found = evaluator("question-answering").compute(
        model_or_pipeline=str(folder) if what == "folder" else nlp,
        data=data,
        metric=metrics.load("squad_v2"),
        squad_v2_format=True,
    )
    answers = nlp([{"question": row["question"], "context": row["context"]} for row in data], no_answer=True)
    predictions = [
        # As the package has it: it takes the score of any answer for the probability of "no answer".
        {"id": row["id"], "prediction_text": answer["answer"], "no_answer_probability": answer["score"]}
        for row, answer in zip(data, answers, strict=True)
    ]
    references = [{"id": row["id"], "answers": row["answers"]} for row in data]
    wanted = metrics.load("squad_v2").compute(predictions=predictions, references=references)
    assert {name: found[name] for name in wanted} == wanted


def test_without_demand_transformers_stays_as_it_is():
    assert not hasattr(transformers, "QuestionAnsweringPipeline")
    assert "question-answering" not in pipelines.PIPELINE_REGISTRY.supported_tasks
