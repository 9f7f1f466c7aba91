"""The predictor: forms of input, windows, parity with evaluation, "no answer", word borders, search over passages."""

import ast
import itertools
import json
import math
import subprocess
import sys
import time
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from hypothesis import given, settings
from hypothesis import strategies as st

import qa
from qa.config import DecodingConfig, FeaturesConfig
from qa.data import Examples
from qa.errors import ConfigError, ExampleError, ModelError, NotFiniteError
from qa.evaluation import Evaluator
from qa.features import build_features
from qa.inputs import INPUTS_AT_ONCE, chunks
from qa.model import DEFAULT_SETTINGS, SETTINGS_FILE, load_reader
from qa.predictor import Predictor
from qa.results import word_borders
from tests.benchmarks import baselines
from tests.support import tiny

CONTEXT = "The Amazon carries 209,000 cubic metres of water a second. Francisco de Orellana named it in 1541."
QUESTION = "Who named the Amazon?"
KEYS = {"score", "start", "end", "answer", "no_answer_score"}
SETTINGS = replace(DEFAULT_SETTINGS, max_length=96, doc_stride=24, max_question_length=24, null_possible=True)


def saved(folder, family="bert", own=SETTINGS, **values):
    tiny.save_reader(folder, family, **values)
    if own is not None:
        (folder / SETTINGS_FILE).write_text(json.dumps(asdict(own)))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("reader"))


@pytest.fixture(scope="module")
def predictor(folder):
    return Predictor.from_pretrained(folder, device="cpu")


def with_settings(predictor, **changes):
    return replace(predictor, settings=replace(predictor.settings, **changes))


def rows(count):
    return [dict(row) for row in tiny.sample_rows("validation")[:count]]


def pairs(count):
    return [{"question": row["question"], "context": row["context"]} for row in rows(count)]


# --- forms of input and output ---


def test_one_question_gives_one_answer_of_the_removed_pipelines_form(predictor):
    found = predictor(question=QUESTION, context=CONTEXT, no_answer=False)
    assert set(found) == KEYS
    assert CONTEXT[found["start"] : found["end"]] == found["answer"] != ""
    assert 0 < found["score"] <= 1
    assert found["no_answer_score"] == 0
    assert [type(found[key]) for key in ("score", "start", "end", "answer")] == [float, int, int, str]


def test_every_form_of_input_gives_the_same_answers(predictor):
    wanted = [predictor(question=pair["question"], context=pair["context"]) for pair in pairs(3)]
    assert [predictor(pair) for pair in pairs(3)] == wanted
    assert as_texts(predictor(pairs(3))) == as_texts(wanted)
    assert as_texts(predictor(tuple(pairs(3)))) == as_texts(wanted)
    assert as_texts(list(predictor(pair for pair in pairs(3)))) == as_texts(wanted)
    columns = {name: [pair[name] for pair in pairs(3)] for name in ("question", "context")}
    assert as_texts(predictor(**columns)) == as_texts(wanted)


def as_texts(results):
    assert isinstance(results, list)
    return [(result["answer"], result["start"], result["end"]) for result in results]


def test_one_of_either_goes_with_all_of_the_other(predictor):
    contexts = [CONTEXT, "Paris is in France.", "Nothing here."]
    assert len(predictor(question=QUESTION, context=contexts)) == 3
    assert len(predictor(question=[QUESTION, "What is it?"], context=CONTEXT)) == 2
    assert predictor(question=[], context=CONTEXT) == []
    assert predictor([]) == []
    assert list(predictor(iter([]))) == []


def test_a_list_of_one_is_a_list(predictor):
    assert isinstance(predictor([{"question": QUESTION, "context": CONTEXT}]), list)
    assert isinstance(predictor(question=[QUESTION], context=CONTEXT), list)


def test_more_answers_are_a_list_for_every_input(predictor):
    best = predictor(question=QUESTION, context=CONTEXT)
    single = predictor(question=QUESTION, context=CONTEXT, top_k=4)
    several = predictor(question=[QUESTION], context=CONTEXT, top_k=4)
    assert [single] == several
    assert single[0] == best
    assert len(single) == 4
    assert [one["score"] for one in single] == sorted((one["score"] for one in single), reverse=True)


def test_probabilities_of_all_answers_sum_to_one(predictor):
    many = with_settings(predictor, n_best=50)(question=QUESTION, context="Yes, no.", top_k=50)
    assert sum(one["score"] for one in many) == pytest.approx(1)
    assert [one["score"] for one in many if not one["answer"]] == [many[0]["no_answer_score"]]


def test_the_answer_of_a_context_without_tokens_is_empty(predictor):
    blank = "\u200b\u200b"  # BERT's normaliser drops what has no width
    assert not blank.isspace()
    nothing = {"score": 0.0, "start": 0, "end": 0, "answer": "", "no_answer_score": 0.0}
    assert predictor(question="What?", context=blank, no_answer=False) == nothing
    assert predictor(question="What?", context=blank, top_k=3) == [nothing | {"score": 1.0, "no_answer_score": 1.0}]


# --- parity with evaluation ---


def evaluated(folder, part, own):
    """What evaluation writes, made as train_qa.py makes it."""
    examples = Examples(rows=tiny.examples(*part))
    reader = load_reader(str(folder), max_length=own.max_length)
    config = DecodingConfig(n_best=own.n_best, max_answer_tokens=own.max_answer_tokens, search=own.search)
    windows = FeaturesConfig(
        max_length=own.max_length, doc_stride=own.doc_stride, max_question_length=own.max_question_length
    )
    features = build_features(examples.rows, reader.tokenizer, windows)
    assert len(features) > len(examples)
    evaluator = Evaluator.for_reader(Accelerator(cpu=True), reader, examples, features, config)
    return evaluator.evaluate(reader.model).predictions


@pytest.mark.parametrize("family", ["bert", "roberta", "xlnet"])
@pytest.mark.parametrize("search", ["exact", "hf_parity"])
def test_answers_are_those_that_evaluation_writes(tmp_path, family, search):
    own = replace(SETTINGS, search=search)
    folder = saved(tmp_path, family, own)
    part = rows(40)
    predictions = evaluated(folder, part, own)
    predictor = Predictor.from_pretrained(folder, device="cpu")
    for threshold in (0.0, float(np.median(predictions.null_odds))):
        texts = predictions.texts(threshold)
        assert [found["answer"] for found in predictor(part, no_answer=threshold)] == texts
        assert [found["answer"] for found in with_settings(predictor, no_answer_threshold=threshold)(part)] == texts
    assert 15 < texts.count("") < 25
    assert len(set(texts)) > 3
    plain = predictor(part, top_k=own.n_best)
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
    apart = list(predictor._results(pairs(30), small))
    assert as_texts(apart) == as_texts(together)
    np.testing.assert_allclose([one["score"] for one in apart], [one["score"] for one in together], rtol=1e-4)


# --- long contexts and options ---


def test_every_part_of_a_long_context_is_read(predictor):
    words = " ".join(f"word{at}" for at in range(1500))
    found = predictor(question="Which?", context=words, top_k=20, no_answer=False)
    for one in found:
        assert words[one["start"] : one["end"]] == one["answer"]
    spread = predictor(question=["Which?"] * 40, context=[words[at * 200 :] for at in range(40)], no_answer=False)
    assert len({one["start"] for one in spread}) > 5
    assert max(one["start"] for one in [*found, *spread]) > 3000


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
    real = qa.predictor.find_spans

    def counted(model, batches, decoding, **more):
        return real(model, (sizes.append(len(batch)) or batch for batch in batches), decoding, **more)

    monkeypatch.setattr("qa.predictor.find_spans", counted)
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


# --- "no answer" ---


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


# --- streams ---


def test_a_generator_is_read_a_chunk_at_a_time(predictor):
    drawn = 0

    def endless():
        nonlocal drawn
        for drawn in itertools.count(1):
            yield {"question": f"Which is {drawn}?", "context": f"It is {drawn}."}

    results = predictor(endless(), batch_size=256)
    assert drawn == 0
    first = next(results)
    assert CONTEXT or first
    assert drawn == INPUTS_AT_ONCE
    list(itertools.islice(results, INPUTS_AT_ONCE - 1))
    assert drawn == INPUTS_AT_ONCE


def test_results_come_in_the_order_of_inputs_whatever_their_lengths(predictor):
    inputs = [{"question": "Which?", "context": f"{at} " + "and more " * (at * 37 % 90)} for at in range(60)]
    small = replace(predictor.options(no_answer=False), inputs_at_once=13)
    for asked, found in zip(inputs, predictor._results(inputs, small), strict=True):
        assert asked["context"][found["start"] : found["end"]] == found["answer"] != ""


def test_chunks_are_cut_by_characters_too():
    long = {"question": "Q?", "context": "word " * 1_000_000}
    short = {"question": "Q?", "context": "word"}
    assert [len(chunk) for chunk in chunks([long, long, short, short], 1024)] == [2, 2]
    assert [len(chunk) for chunk in chunks([short] * 5, 2)] == [2, 2, 1]


# --- errors ---


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"question": "", "context": "c"}, "input 2: question is ''"),
        ({"question": "q", "context": " \n"}, "input 2: context is"),
        ({"question": "q"}, "input 2: context is None"),
        ({"question": 3, "context": "c"}, "input 2: question is 3"),
        ({"question": "q", "context": "a\ud800"}, "input 2: context has a lone surrogate at character 1"),
        ("text", "input 2 is 'text'"),
    ],
)
def test_bad_inputs_are_named_by_index(predictor, bad, message):
    good = {"question": "q", "context": "c"}
    with pytest.raises(ExampleError, match=message):
        list(predictor(iter([good, good, bad])))


@pytest.mark.parametrize(
    "call",
    [
        {"question": ["a", "b"], "context": ["c"]},
        {"inputs": {"question": "a", "context": "b"}, "question": "c"},
        {"question": "a"},
        {},
    ],
)
def test_inputs_that_do_not_pair_are_refused(predictor, call):
    with pytest.raises(ExampleError):
        predictor(**call)


def test_logits_that_are_not_numbers_are_named(folder):
    broken = Predictor.from_pretrained(folder, device="cpu")
    torch.nn.init.constant_(broken.model.qa_outputs.bias, torch.nan)
    with pytest.raises(NotFiniteError, match="input 0"):
        broken(question=QUESTION, context=CONTEXT)


def test_loading_says_what_is_wrong(folder, tmp_path):
    with pytest.raises(ConfigError, match="backend is 'tensorflow'"):
        Predictor.from_pretrained(folder, backend="tensorflow")
    with pytest.raises(ConfigError, match="device is 'gpu7'"):
        Predictor.from_pretrained(folder, device="gpu7")
    with pytest.raises(ConfigError, match="dtype is 'int64'"):
        Predictor.from_pretrained(folder, dtype="int64")
    with pytest.raises(ModelError):
        Predictor.from_pretrained(tmp_path / "none", device="cpu")
    with pytest.raises(ModelError, match="'minilm' has no span head"):
        Predictor.from_pretrained("minilm")


# --- loading ---


def test_a_model_without_settings_has_the_defaults(tmp_path):
    plain = Predictor.from_pretrained(str(saved(tmp_path, own=None)))
    assert plain.settings == DEFAULT_SETTINGS
    assert plain(question=QUESTION, context=CONTEXT)["answer"]


def test_precision_is_as_asked_and_logits_are_float32(folder, predictor):
    half = Predictor.from_pretrained(folder, device="cpu", dtype="bfloat16")
    assert {parameter.dtype for parameter in half.model.parameters()} == {torch.bfloat16}
    found, wanted = (one(question=QUESTION, context=CONTEXT, no_answer=False) for one in (half, predictor))
    assert found["score"] == pytest.approx(wanted["score"], rel=0.1)
    assert Predictor.from_pretrained(folder, device="cpu", dtype=torch.float32).device == torch.device("cpu")


def test_the_device_is_the_accelerator_where_there_is_one(folder):
    wanted = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")
    assert Predictor.from_pretrained(folder).device.type == wanted.type


@pytest.mark.gpu
@pytest.mark.skipif(not torch.accelerator.is_available(), reason="needs an accelerator")
def test_a_device_gives_the_answers_of_the_cpu(folder, predictor):
    found = Predictor.from_pretrained(folder)(pairs(20))
    np.testing.assert_allclose(
        [one["score"] for one in found], [one["score"] for one in predictor(pairs(20))], rtol=1e-3
    )


@pytest.mark.gpu
@pytest.mark.skipif(not torch.accelerator.is_available(), reason="needs an accelerator")
def test_on_a_device_batches_by_length_beat_the_loop_by_far():
    """Questions on real passages with the embedded model; both take turns, and the fastest turn of each counts."""
    device = torch.accelerator.current_accelerator()
    reader = load_reader("minilm")
    predictor = Predictor.of(reader, device=device)
    asked = pairs(200)
    seconds = {"ours": math.inf, "loop": math.inf}
    for _ in range(4):  # the first warms up
        for name, answer in (("ours", predictor), ("loop", partial(baselines.loop, reader.model, reader.tokenizer))):
            began = time.perf_counter()
            answer(asked)
            seconds[name] = min(seconds[name], time.perf_counter() - began)
    assert seconds["loop"] / seconds["ours"] > 3, seconds


# --- code written for the removed pipeline ---


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
        ({"max_answer_len": 2, "max_answer_length": 3}, "max_answer_length and max_answer_len"),
        ({"max_answer_tokens": 2}, "found the argument max_answer_tokens; wanted one of top_k"),
    ],
)
def test_unknown_or_doubled_arguments_are_refused(given, message, predictor):
    with pytest.raises(ConfigError, match=message):
        predictor(question=QUESTION, context=CONTEXT, **given)


def test_the_function_pipeline_makes_a_predictor(folder, predictor):
    reader = qa.pipeline("question-answering", model=str(folder), tokenizer=str(folder), device=-1)
    assert reader(question=QUESTION, context=CONTEXT) == predictor(question=QUESTION, context=CONTEXT)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"task": "fill-mask", "model": "m"}, "task is 'fill-mask'"),
        ({}, "found no model"),
        ({"model": "one", "tokenizer": "other"}, "tokenizer is 'other'; wanted none, or the model's, 'one'"),
    ],
)
def test_a_pipeline_that_cannot_be_made_is_refused(given, message):
    with pytest.raises(ConfigError, match=message):
        qa.pipeline(**given)


# --- the package ---


def test_the_package_gives_the_predictor_and_stays_light():
    assert qa.Predictor is Predictor
    with pytest.raises(AttributeError, match="nothing"):
        _ = qa.nothing
    command = "import qa, sys; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", command], check=True)


def test_what_the_predictor_imports_does_not_need_accelerate_or_wandb():
    package = Path(qa.__file__).parent
    seen, waiting = set(), ["predictor"]
    while waiting:
        module = waiting.pop()
        seen.add(module)
        for node in ast.walk(ast.parse((package / f"{module}.py").read_text())):
            names = [node.module] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not {name.split(".")[0] for name in names if name} & {"accelerate", "wandb", "evaluate"}, module
            waiting += [name[3:] for name in names if name.startswith("qa.") and name[3:] not in seen]
    assert {"features", "answers", "inference", "batching"} <= seen


# --- word borders ---


@pytest.mark.parametrize(
    ("text", "part", "wanted"),
    [
        ("Born in 1990s Oslo.", "1990", "1990s"),
        ("Beyoncé sang", "Beyonc", "Beyoncé"),
        ("an anti-war march", "war", "war"),
        ("cost $400 million", "00 mill", "400 million"),
        ("Don't go", "Do", "Don"),
        ("हिन्दी भाषा", "हिन", "हिन्दी"),
        ("東京は日本の首都", "日本", "日本"),
        ("whole", "whole", "whole"),
    ],
)
def test_borders_inside_a_word_move_to_its_border(text, part, wanted):
    start = text.index(part)
    begin, end = word_borders(text, start, start + len(part))
    assert text[begin:end] == wanted


@given(st.text(alphabet="ab 1.-é本", min_size=1, max_size=12), st.data())
@settings(max_examples=200, deadline=None)
def test_word_borders_equal_the_dull_way(text, data):
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    inside = [character in "ab1é" for character in text]
    borders = [at for at in range(len(text) + 1) if at in (0, len(text)) or not (inside[at - 1] and inside[at])]
    wanted = max(at for at in borders if at <= start), min(at for at in borders if at >= end)
    assert word_borders(text, start, end) == wanted


def test_aligned_answers_end_at_words_and_come_once(predictor):
    plain = predictor(pairs(10), top_k=20, no_answer=False)
    aligned = predictor(pairs(10), top_k=20, no_answer=False, align_to_words=True)
    assert plain != aligned
    for asked, found, raw in zip(pairs(10), aligned, plain, strict=True):
        places = [(one["start"], one["end"]) for one in found]
        assert len(set(places)) == len(places)
        assert places == list(dict.fromkeys(word_borders(asked["context"], one["start"], one["end"]) for one in raw))
        assert all(asked["context"][one["start"] : one["end"]] == one["answer"] for one in found)


# --- search ---


def all_spans(predictor, question, contexts, longest):
    """Every span of every passage that fits one window, by brute force: log odds, passage, text."""
    known = tiny.tokenizer()
    found = []
    for passage, context in enumerate(contexts):
        encoded = known(question, context, return_tensors="pt", return_offsets_mapping=True)
        offsets = encoded.pop("offset_mapping")[0].tolist()
        inside = [at for at, sequence in enumerate(encoded.sequence_ids()) if sequence == 1]
        with torch.inference_mode():
            output = predictor.model(**encoded)
        start, end = output.start_logits[0].tolist(), output.end_logits[0].tolist()
        found += [
            (start[first] - start[0] + end[last] - end[0], passage, context[offsets[first][0] : offsets[last][1]])
            for first, last in itertools.combinations_with_replacement(inside, 2)
            if last - first < longest
        ]
    return sorted(found, reverse=True)


def test_search_ranks_the_spans_of_all_passages_by_log_odds_against_their_null(predictor):
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
