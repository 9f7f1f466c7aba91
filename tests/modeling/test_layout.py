"""How question and context are joined is what the model can read; what it cannot read is refused by name."""

import inspect
import itertools
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from tokenizers import processors

from qa.errors import ModelError
from qa.features.collation import collate
from qa.features.windows import features_of_table
from qa.inference.predictor import Predictor
from qa.modeling.reader import Reader, load_reader
from tests.support import tiny, tokenizers, zoo
from tests.support.windows import config

CONTEXT = "The lighthouse of Skarholm was built in 1871 by Ragna Lund. It is 34 metres tall."
QUESTIONS = ("Who built the lighthouse?", "How tall is it?")


def causal_tokenizer(side="right", *, ends=False):
    known = tiny.fresh_tokenizer("roberta")
    end = " </s>:1" if ends else ""
    known.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A",
        pair=f"<s> $A $B:1{end}",
        special_tokens=[("<s>", known.bos_token_id), ("</s>", known.eos_token_id)],
    )
    known.padding_side = side
    return known


def causal_reader(tokenizer, **more):
    return Reader.fitted(zoo.model("llama", **more), tokenizer, max_length=96, name="the/model")


def saved(folder, tokenizer, kind):
    tokenizer.save_pretrained(folder)
    zoo.model(kind).save_pretrained(folder)
    return str(folder)


def batch_of(reader, question, context, **sizes):
    rows = tiny.examples(tiny.example(question, context))
    features = features_of_table(rows.with_format("arrow")[:], reader.encoder, config(96, 16, 24, **sizes))
    return collate(features, np.arange(len(features)), input_names=reader.input_names, pad_multiple=8)


def test_weights_that_are_not_numbers_are_named():
    model = zoo.model("bert")
    with torch.no_grad():
        model.qa_outputs.weight.fill_(float("nan"))
    with pytest.raises(ModelError, match="not finite numbers; wanted weights without NaN"):
        Reader.fitted(model, tiny.tokenizer("bert"), max_length=96, name="the/model")


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("ends", [False, True])
def test_a_causal_model_reads_the_question_first_and_says_no_answer_last(side, ends):
    template = causal_reader(causal_tokenizer(side, ends=ends)).encoder.template
    assert not template.context_first
    assert not template.pad_left
    assert template.null_position == -1
    assert template.after == (tiny.tokenizer("roberta").eos_token_id,), "the token that ends texts sees both"


@pytest.mark.parametrize("side", ["left", "right"])
def test_answers_of_a_causal_model_follow_the_question(side, tmp_path):
    predictor = Predictor.from_pretrained(saved(tmp_path, causal_tokenizer(side), "llama"), device="cpu")
    found = [predictor(question=q, context=CONTEXT, top_k=3, no_answer=False, max_length=96) for q in QUESTIONS]
    assert [answer["score"] for answer in found[0]] != pytest.approx([answer["score"] for answer in found[1]], rel=1e-3)


def test_the_null_score_of_a_causal_model_follows_both_texts():
    reader = causal_reader(causal_tokenizer())
    nulls = []
    for question, context in ((QUESTIONS[0], CONTEXT), (QUESTIONS[1], CONTEXT), (QUESTIONS[0], CONTEXT[:40])):
        batch = batch_of(reader, question, context)
        with torch.inference_mode():
            nulls.append(float(reader.model(**batch.inputs).start_logits[0, batch.null_position[0]]))
    assert len({round(null, 5) for null in nulls}) == 3


def test_a_causal_model_without_a_token_that_ends_texts_is_refused():
    tokenizer = causal_tokenizer()
    tokenizer.eos_token = tokenizer.sep_token = None
    with pytest.raises(ModelError, match=r"'the/model' .* no position sees both.*a token that ends texts"):
        causal_reader(tokenizer)


def test_rounding_is_not_taken_for_sight_where_the_first_logits_are_small():
    """Of OPT's readers with logits near 0 at the first position some seemed to see what comes after it."""
    model = zoo.model("llama")
    forward, calls = model.forward, itertools.count()

    def rounded(*args, **inputs):
        output = forward(*args, **inputs)
        small = torch.ones(output.start_logits.shape[1])
        small[0] = 1e-4
        output.start_logits = output.start_logits * small + 1e-7 * next(calls)
        return output

    rounded.__signature__ = inspect.signature(forward)
    model.forward = rounded
    reader = Reader.fitted(model, causal_tokenizer(), max_length=96, name="the/model")
    assert reader.encoder.template.null_position == -1


def test_a_model_that_sees_both_ways_keeps_its_tokenizers_layout():
    for family in tiny.FAMILIES:
        reader = Reader.fitted(tiny.model(family), tiny.tokenizer(family), max_length=64, name=family)
        assert reader.encoder.template.context_first == (family == "xlnet")
        assert reader.encoder.template.null_position == (-1 if family == "xlnet" else 0)
        assert reader.encoder.template.steady_up_to is None


@pytest.mark.parametrize("kind", ["convbert", "funnel", "nystromformer"])
def test_a_model_that_sees_padding_gets_rows_of_one_length(kind):
    reader = Reader.fitted(zoo.model(kind), zoo.tokenizer(kind), max_length=96, name=kind)
    assert reader.encoder.template.steady_up_to == 0
    assert batch_of(reader, QUESTIONS[0], "It is.").shape == (1, 96)


def test_a_model_whose_answers_depend_on_chance_is_refused():
    model = tiny.model()
    forward = model.forward

    def drawn(*args, **inputs):
        output = forward(*args, **inputs)
        output.start_logits = output.start_logits + torch.rand(1)
        return output

    drawn.__signature__ = inspect.signature(forward)
    model.forward = drawn
    with pytest.raises(ModelError, match="other logits for the same window after another one"):
        Reader.fitted(model, tiny.tokenizer(), max_length=64, name="the/model")


# --- token types ---


@pytest.mark.parametrize("kind", ["albert", "xlnet", "bert"])
def test_logits_are_those_that_the_model_has_with_its_token_types(kind, tmp_path):
    """Transformers' tokenizers no longer list them for ALBERT and XLNet, whose checkpoints were trained with them."""
    tokenizer = tokenizers.tokenizer(kind)
    model = zoo.model(kind, vocab_size=len(tokenizer)).train(mode=False)
    tokenizer.save_pretrained(tmp_path)
    model.save_pretrained(tmp_path)
    reader = load_reader(str(tmp_path), max_length=96)
    batch = batch_of(reader, QUESTIONS[0], CONTEXT)
    pair = (CONTEXT, QUESTIONS[0]) if kind == "xlnet" else (QUESTIONS[0], CONTEXT)
    plain = tokenizer(*pair, return_token_type_ids=True, return_tensors="pt")
    real = batch.inputs["attention_mask"].bool()
    assert batch.inputs["input_ids"][real].tolist() == plain["input_ids"][0].tolist()
    with torch.inference_mode():
        found, wanted = reader.model(**batch.inputs), model(**plain)
        without = model(**{name: value for name, value in plain.items() if name != "token_type_ids"})
    torch.testing.assert_close(found.start_logits[real], wanted.start_logits[0], atol=1e-4, rtol=1e-4)
    assert (wanted.start_logits - without.start_logits).abs().max() > 1e-3


# --- Longformer, BigBird ---


def test_all_tokens_see_the_question_in_a_model_of_local_attention():
    reader = Reader.fitted(zoo.model("longformer"), zoo.tokenizer("longformer"), max_length=96, name="longformer")
    batch = batch_of(reader, QUESTIONS[0], CONTEXT)
    globally = batch.inputs["global_attention_mask"][0].bool()
    begin = int(batch.context_begin[0])
    between = len(reader.encoder.template.between)
    assert globally.tolist() == [at < begin - between for at in range(len(globally))]


def test_block_sparse_attention_does_not_depend_on_what_was_asked_before(tmp_path):
    """The library switches to full attention at the first short batch, for good."""
    kind, question = "big_bird", QUESTIONS[0]
    predictor = Predictor.from_pretrained(zoo.save(tmp_path, kind, windows=96), device="cpu")
    long = {"question": question, "context": CONTEXT * 6, "max_length": 96}
    first = predictor(**long)
    predictor(question=question, context="Ragna Lund built it.", max_length=24)
    assert predictor(**long) == first
    full = Predictor.from_pretrained(
        zoo.save(tmp_path / "full", kind, windows=96, attention_type="original_full"), device="cpu"
    )
    assert full(**long)["score"] != pytest.approx(first["score"], rel=1e-6), "the attention is sparse"


def test_block_sparse_attention_depends_on_its_own_batch_alone_in_threads(tmp_path):
    predictor = Predictor.from_pretrained(zoo.save(tmp_path, "big_bird", windows=96), device="cpu")
    long = {"question": QUESTIONS[0], "context": CONTEXT * 6, "max_length": 96}
    short = {"question": QUESTIONS[0], "context": "Ragna Lund built it.", "max_length": 24}
    calls = [long, short] * 10
    wanted = [predictor(**call) for call in calls]
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(lambda call: predictor(**call), calls)) == wanted
    copied = pickle.loads(pickle.dumps(predictor))
    assert [copied(**call) for call in calls[:2]] == wanted[:2]


# --- beside an exported model ---
