"""The predictor: forms of input, windows, parity with evaluation, "no answer", word borders, search over passages."""

import itertools
import json
import subprocess
import sys
import unicodedata
from collections import Counter
from dataclasses import asdict, replace
from functools import partial

import numpy as np
import pytest
import regex
import torch
from accelerate import Accelerator

import qa
from qa.config import DecodingConfig, FeaturesConfig, RunConfig, TrainingConfig
from qa.data.examples import Examples
from qa.errors import ConfigError, ExampleError, NotFiniteError
from qa.evaluation.evaluator import Evaluator
from qa.inference.predictor import Predictor
from qa.inference.torch_reader import torch_backend
from qa.modeling.reader import load_reader
from qa.modeling.settings import DEFAULT_SETTINGS, SETTINGS_FILE
from tests.benchmarks import baselines
from tests.support import tiny, tokenizers
from tests.support.predictors import (
    CONTEXT,
    KEYS,
    QUESTION,
    SETTINGS,
    all_spans,
    as_texts,
    pairs,
    rows,
    saved,
    with_settings,
)
from tests.support.source import FILES, imports, reachable


def test_one_question_gives_one_answer_of_the_removed_pipelines_form(predictor):
    found = predictor(question=QUESTION, context=CONTEXT, no_answer=False)
    assert set(found) == KEYS
    assert CONTEXT[found["start"] : found["end"]] == found["answer"] != ""
    assert 0 < found["score"] <= 1
    assert found["no_answer_score"] == 0
    assert [type(found[key]) for key in ("score", "start", "end", "answer")] == [float, int, int, str]


def test_the_answer_of_a_context_without_tokens_is_empty(predictor):
    blank = "\u200b\u200b"  # BERT's normaliser drops what has no width
    assert not blank.isspace()
    nothing = {"score": 0.0, "start": 0, "end": 0, "answer": "", "no_answer_score": 0.0, "place_score": 0.0}
    assert predictor(question="What?", context=blank, no_answer=False) == nothing
    assert predictor(question="What?", context=blank, top_k=3) == [
        nothing | {"score": 1.0, "no_answer_score": 1.0, "place_score": 1.0}
    ]


def evaluated(folder, part, own):
    """What evaluation writes, made as train_qa.py makes it."""
    examples = Examples(rows=tiny.examples(*part))
    reader = load_reader(str(folder), max_length=own.max_length)
    config = DecodingConfig(n_best=own.n_best, max_answer_tokens=own.max_answer_tokens, search=own.search)
    windows = FeaturesConfig(
        max_length=own.max_length, doc_stride=own.doc_stride, max_question_length=own.max_question_length
    )
    run = RunConfig(features=windows, decoding=config, training=TrainingConfig(max_steps=0))
    evaluator = Evaluator.for_reader(Accelerator(cpu=True), reader, examples, run)
    assert len(evaluator.features) > len(examples)
    return evaluator.evaluate(reader.model).predictions


@pytest.mark.parametrize("family", ["bert", "roberta", "xlnet"])
@pytest.mark.parametrize("search", ["exact", "hf_parity"])
def test_answers_are_those_that_evaluation_writes(tmp_path, family, search):
    own = replace(SETTINGS, search=search, max_question_length=60)
    same = {"max_question_length": 60}  # evaluation cuts longer ones, calls do not by themselves
    folder = saved(tmp_path, family, own)
    part = rows(40)
    predictions = evaluated(folder, part, own)
    predictor = Predictor.from_pretrained(folder, device="cpu")
    for threshold in (0.0, float(np.median(predictions.null_odds))):
        texts = predictions.texts(threshold)
        assert [found["answer"] for found in predictor(part, no_answer=threshold, **same)] == texts
        fixed = with_settings(predictor, no_answer_threshold=threshold)
        assert [found["answer"] for found in fixed(part, **same)] == texts
    assert 15 < texts.count("") < 25
    assert len(set(texts)) > 3
    plain = predictor(part, top_k=own.n_best, **same)
    n_best = predictions.n_best()
    for row, found in zip(part, plain, strict=True):
        wanted = [(one["text"], one["probability"]) for one in n_best[row["id"]]]
        assert [(one["answer"], one["score"]) for one in found] == wanted[: len(found)]
        assert len(found) >= min(len(wanted), own.n_best)


def test_the_pretrained_model_gives_what_evaluation_writes_for_v1_examples(tmp_path):
    torch.manual_seed(3)
    reader = load_reader("minilm")
    assert reader.has_new_head
    reader.model.save_pretrained(tmp_path)
    reader.tokenizer.save_pretrained(tmp_path)
    answerable = [row for row in rows(40) if row["answers"]["text"]][:20]
    own = replace(DEFAULT_SETTINGS, max_length=128, doc_stride=32)
    (tmp_path / SETTINGS_FILE).write_text(json.dumps(asdict(own)))
    texts = evaluated(tmp_path, answerable, own).texts(0.0)
    assert "" not in texts
    predictor = Predictor.from_pretrained(tmp_path, device="cpu")
    assert [found["answer"] for found in predictor(answerable)] == texts


def test_answers_do_not_depend_on_what_is_asked_together(predictor):
    together = predictor(pairs(30), batch_size=16)
    small = replace(predictor.options(batch_size=3), inputs_at_once=7)
    apart = list(predictor.stream(pairs(30), small))
    assert as_texts(apart) == as_texts(together)
    np.testing.assert_allclose([one["score"] for one in apart], [one["score"] for one in together], rtol=1e-4)


def test_every_part_of_a_long_context_is_read(predictor):
    words = " ".join(f"word{at}" for at in range(1500))
    found = predictor(question="Which?", context=words, top_k=20, no_answer=False)
    for one in found:
        assert words[one["start"] : one["end"]] == one["answer"]
    spread = predictor(question=["Which?"] * 40, context=[words[at * 200 :] for at in range(40)], no_answer=False)
    assert len({one["start"] for one in spread}) > 5
    assert max(one["start"] for one in [*found, *spread]) > 3000


def test_results_come_in_the_order_of_inputs_whatever_their_lengths(predictor):
    inputs = [{"question": "Which?", "context": f"{at} " + "and more " * (at * 37 % 90)} for at in range(60)]
    small = replace(predictor.options(no_answer=False), inputs_at_once=13)
    for asked, found in zip(inputs, predictor.stream(inputs, small), strict=True):
        assert asked["context"][found["start"] : found["end"]] == found["answer"] != ""


def test_logits_that_are_not_numbers_are_named(folder):
    broken = Predictor.from_pretrained(folder, device="cpu")
    torch.nn.init.constant_(broken.reader.model.qa_outputs.bias, torch.nan)
    with pytest.raises(NotFiniteError, match="input 0"):
        broken(question=QUESTION, context=CONTEXT)


NO_READERS = """
from qa.errors import ModelError
from qa.inference.predictor import Predictor
for make, given in ((Predictor.from_pretrained, None), (Predictor.from_pretrained, b"folder"), (Predictor, "folder")):
    try:
        make(given)
    except ModelError as error:
        print(error)
"""


@pytest.mark.slow
def test_what_names_no_reader_and_is_none_is_refused():
    """In a process without the tests' own checks of types."""
    done = subprocess.run([sys.executable, "-c", NO_READERS], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        "source is None; wanted a folder or hub id",
        "source is b'folder'; wanted a folder or hub id",
        "reader is 'folder'; wanted a loaded one: Predictor.from_pretrained loads a folder",
    ]


@pytest.mark.parametrize("option", ["score", "answers"])
def test_an_array_is_no_kind_of_score_or_answers(predictor, option):
    with pytest.raises(ConfigError, match=f"{option} is array"):
        predictor(question=QUESTION, context=CONTEXT, **{option: np.array(["probability", "window"])})


@pytest.mark.gpu
@pytest.mark.skipif(not torch.accelerator.is_available(), reason="needs an accelerator")
def test_a_device_gives_the_answers_of_the_cpu(folder, predictor):
    found = Predictor.from_pretrained(folder)(pairs(20))
    np.testing.assert_allclose(
        [one["score"] for one in found], [one["score"] for one in predictor(pairs(20))], rtol=1e-3
    )


@pytest.mark.gpu
@pytest.mark.skipif(not torch.accelerator.is_available(), reason="needs an accelerator")
def test_on_a_device_far_fewer_batches_are_sent_than_by_the_loop():
    """Questions on real passages with the embedded model."""
    device = torch.accelerator.current_accelerator()
    reader = load_reader("minilm")
    predictor = Predictor(torch_backend(reader, device=device))
    asked = pairs(200)
    passes = Counter()
    for name, answer in (("ours", predictor), ("loop", partial(baselines.loop, reader.model, reader.tokenizer))):
        hook = reader.model.register_forward_pre_hook(lambda *_, name=name: passes.update([name]))
        answer(asked)
        hook.remove()
    assert 0 < 3 * passes["ours"] < passes["loop"], passes


def test_the_package_gives_the_predictor_and_stays_light():
    assert qa.Predictor is Predictor
    with pytest.raises(AttributeError, match="nothing"):
        _ = qa.nothing
    command = "import qa, sys; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", command], check=True)


def test_what_the_predictor_imports_does_not_need_accelerate_or_wandb():
    """W&B is for who names a model that it keeps (`qa.modeling.artifacts`)."""
    modules = {"qa.inference.predictor", *reachable("qa.inference.predictor")} - {"qa.modeling.artifacts"}
    for module in modules:
        roots = {name.split(".")[0] for name in imports(FILES[module])}
        assert not roots & {"accelerate", "wandb", "evaluate"}, module
    assert {"qa.features.windows", "qa.decoding.predictions", "qa.inference.onnx"} <= modules
    command = "import qa.inference.predictor, sys; sys.exit('wandb' in sys.modules)"
    subprocess.run([sys.executable, "-c", command], check=True)


@pytest.mark.parametrize("reader", ["folder", "conditional"])
def test_search_ranks_the_spans_of_all_passages_by_log_odds_against_their_null(reader, request):
    predictor = Predictor.from_pretrained(request.getfixturevalue(reader), device="cpu")
    contexts = [*dict.fromkeys(row["context"][:120] for row in rows(60)), "Yes."]
    wanted = all_spans(predictor, QUESTION, contexts, 4)
    found = predictor.search(QUESTION, contexts, top_k=6, max_answer_length=4, no_answer=False)
    assert [(one["passage"], one["answer"]) for one in found] == [one[1:] for one in wanted[:6]]
    np.testing.assert_allclose([one["log_odds"] for one in found], [one[0] for one in wanted[:6]], atol=1e-4)
    weights = np.exp([one[0] for one in wanted[:20]])
    np.testing.assert_allclose([one["score"] for one in found], (weights / weights.sum())[:6], rtol=1e-4)
    for one in found:
        assert contexts[one["passage"]][one["start"] : one["end"]] == one["answer"]


def test_search_in_one_passage_of_one_window_is_a_call(predictor):
    called = predictor(question=QUESTION, context=CONTEXT, top_k=5, no_answer=False)
    found = predictor.search(QUESTION, [CONTEXT], top_k=5, no_answer=False)
    assert [(one["start"], one["end"]) for one in found] == [(one["start"], one["end"]) for one in called]
    np.testing.assert_allclose([one["score"] for one in found], [one["score"] for one in called], rtol=1e-5)


def test_search_weighs_no_answer_where_it_is_possible(predictor):
    certain, uncertain, hopeless = (
        predictor.search(QUESTION, [CONTEXT], no_answer=threshold)[0]["score"] for threshold in (False, True, -1e6)
    )
    assert certain > uncertain > hopeless == 0


def test_search_reads_passages_chunk_by_chunk_and_keeps_the_best(predictor, monkeypatch):
    contexts = [row["context"] for row in rows(30)]
    whole = predictor.search(QUESTION, contexts, align_to_words=True)
    real = Predictor.options
    monkeypatch.setattr(Predictor, "options", lambda *given, **call: replace(real(*given, **call), inputs_at_once=4))
    parts = predictor.search(QUESTION, (context for context in contexts), align_to_words=True)
    assert [(one["passage"], one["answer"]) for one in parts] == [(one["passage"], one["answer"]) for one in whole]


def test_search_of_nothing_finds_nothing_and_names_bad_passages(predictor):
    assert predictor.search(QUESTION, []) == []
    with pytest.raises(ExampleError, match="input 1: context"):
        predictor.search(QUESTION, [CONTEXT, ""])


# --- texts that tokenizers do not cover ---


def all_answers(folder, family, question, context):
    """Every span that a reader with such a tokenizer can answer with."""
    known = tokenizers.tokenizer(family)
    known.save_pretrained(folder)
    tiny.model("roberta", vocab_size=len(known)).save_pretrained(folder)
    reader = Predictor.from_pretrained(folder, device="cpu")
    return reader(question=question, context=context, top_k=2000, max_answer_length=100, no_answer=False)


@pytest.mark.parametrize("family", ["robbert", "clip", "byte-fallback", "xlm-roberta"])
def test_a_tokenizer_that_loses_letters_answers_with_whole_words(family, tmp_path):
    found = {one["answer"] for one in all_answers(tmp_path, family, "Who built it?", "Built in 1871 by Ragna Lund.")}
    assert {"Ragna Lund", "1871", "Built", "Lund", "by Ragna"} <= found


@pytest.mark.parametrize(
    "context",
    [
        unicodedata.normalize("NFD", "등대는 라그나가 세웠다."),
        "दीपस्तंभ लुंड ने बनाया।",
        unicodedata.normalize("NFD", "Ngọn hải đăng này cao."),
        "கலங்கரை விளக்கம்",
        "👩\u200d🔬 in 🇫🇷🇩🇪, 👍🏽 1\ufe0f\u20e3",
    ],
    ids=["Hangul", "Hindi", "Vietnamese", "Tamil", "emoji"],
)
@pytest.mark.parametrize("family", ["clip", "bert-cased"])
def test_no_answer_begins_or_ends_inside_a_sign(family, context, tmp_path):
    """What a normaliser swallows belongs to the token; bytes of a character are no answer."""
    borders = set(itertools.accumulate(map(len, regex.findall(r"\X", context)), initial=0))
    found = all_answers(tmp_path, family, "Who?", context)
    assert found
    assert {place for one in found for place in (one["start"], one["end"])} <= borders
