"""Tiny readers with the real behaviour of their families, and small sets of examples; nothing is downloaded.

Tokenizers are the real classes (normaliser, pre-tokenizer, post-processor, padding side, input names) with a small
vocabulary trained on the embedded data set; models are the real architectures at random weights.
"""

import copy
import json
from functools import cache
from pathlib import Path

import datasets
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AutoConfig,
    AutoModelForQuestionAnswering,
    BertTokenizer,
    DebertaV2Tokenizer,
    DistilBertTokenizer,
    PreTrainedTokenizerFast,
    RobertaTokenizer,
    XLNetTokenizer,
)

import qa

FAMILIES = ("bert", "distilbert", "roberta", "modernbert", "xlnet", "deberta-v2")
"""bert: token types; distilbert: none; roberta: bytes, offsets without the space before a word, two separators;
modernbert: bytes, offsets with the space; xlnet: padding on the left, context first, CLS last; deberta-v2: unigram."""
POSITIONS = 512
"""Longest window that the tiny models take, in tokens."""
_VOCABULARY = 800
_SAMPLE = Path(qa.__file__).parent / "sample"
_REAL = {
    "bert": BertTokenizer,
    "distilbert": DistilBertTokenizer,
    "roberta": RobertaTokenizer,
    "xlnet": XLNetTokenizer,
    "deberta-v2": DebertaV2Tokenizer,
}
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": POSITIONS,
}
_CONFIGS = {
    "bert": SIZES,
    "distilbert": {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64, "max_position_embeddings": POSITIONS},
    # As in the published ones, positions begin after the padding's and there is one token type.
    "roberta": SIZES | {"max_position_embeddings": POSITIONS + 2, "type_vocab_size": 1},
    "modernbert": SIZES | {"local_attention": 64},
    "xlnet": {"d_model": 32, "n_layer": 2, "n_head": 2, "d_inner": 64},
    "deberta-v2": SIZES | {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "type_vocab_size": 0},
}


# --- tokenizers and models ---


def tokenizer(family="bert"):
    """The family's tokenizer, shared by all tests: use `fresh_tokenizer` to change one."""
    return _tokenizer(family)


@cache
def _tokenizer(family):
    texts = list(_training_texts())
    if family == "modernbert":
        return _modernbert_tokenizer(texts)
    trained = _REAL[family]().train_new_from_iterator(iter(texts), _VOCABULARY, show_progress=False)
    return trained if family == "roberta" else _REAL[family](vocab=_same_in_every_process(trained))


def _same_in_every_process(trained):
    """The vocabulary in an order, and with scores, that don't depend on the seed of hash tables."""
    special = {added.content for added in trained.added_tokens_decoder.values()}
    vocabulary = json.loads(trained.backend_tokenizer.to_str())["model"]["vocab"]
    if isinstance(vocabulary, dict):
        kept = sorted(special, key=vocabulary.get) + sorted(vocabulary.keys() - special)
        return {token: at for at, token in enumerate(kept)}
    scores = {token: round(score, 2) for token, score in vocabulary}
    first = [(token, 0.0) for token, _ in vocabulary if token in special]
    return first + sorted(((token, score) for token, score in scores.items() if token not in special), key=_by_score)


def _by_score(piece):
    token, score = piece
    return -score, token


def fresh_tokenizer(family="bert"):
    return copy.deepcopy(tokenizer(family))


def one_token_word():
    """A word that is one token, so that it is the only answer in a text of it alone."""
    return next(token for token in sorted(tokenizer().vocab) if len(token) > 4 and token.isalpha())


def model(family="bert", *, seed=0, **settings):
    """A new span model of the family, for its tokenizer; `settings` go over the configuration."""
    known = tokenizer(family)
    special = {
        "pad_token_id": known.pad_token_id,
        "bos_token_id": known.bos_token_id,
        "eos_token_id": known.eos_token_id,
        "cls_token_id": known.cls_token_id,
        "sep_token_id": known.sep_token_id,
    }
    values = {"vocab_size": len(known)} | _CONFIGS[family] | special | settings
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return AutoModelForQuestionAnswering.from_config(AutoConfig.for_model(family, **values))


def save_reader(folder, family="bert", *, seed=0, **settings):
    """Save tokenizer and model where `--model FOLDER` finds them; returns the folder."""
    tokenizer(family).save_pretrained(folder)
    model(family, seed=seed, **settings).save_pretrained(folder)
    return folder


def _modernbert_tokenizer(texts):
    """What the published tokenizer.json holds; the library has no class of its own for it."""
    backend = Tokenizer(models.BPE())
    backend.normalizer = normalizers.NFC()
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    special = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    loop = trainers.BpeTrainer(
        vocab_size=_VOCABULARY, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    backend.train_from_iterator(texts, loop)
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, special.index(token)) for token in ("[CLS]", "[SEP]")],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        pad_token="[PAD]",
        mask_token="[MASK]",
        model_input_names=["input_ids", "attention_mask"],
    )


def _training_texts():
    for row in sample_rows("train"):
        yield row["question"]
        yield row["context"]


# --- examples ---

SQUAD = datasets.Features(
    {name: datasets.Value("string") for name in ("id", "title", "context", "question")}
    | {
        "answers": {
            "text": datasets.List(datasets.Value("string")),
            "answer_start": datasets.List(datasets.Value("int32")),
        }
    }
)
"""The columns of the hub's SQuAD."""


def example(question, context, *answers, **columns):
    """One row. An answer is a text, meant where it first occurs, or a pair of text and offset."""
    pairs = [(answer, context.index(answer)) if isinstance(answer, str) else answer for answer in answers]
    references = {"text": [text for text, _ in pairs], "answer_start": [start for _, start in pairs]}
    return {"id": "", "title": "", "context": context, "question": question, "answers": references} | columns


def examples(*rows):
    """Rows as a data set in SQuAD's columns; those without an id get q0, q1, …"""
    named = [row | {"id": row["id"] or f"q{at}"} for at, row in enumerate(rows)]
    return datasets.Dataset.from_list(named, features=SQUAD)


def without_references(rows):
    return rows.remove_columns("answers")


@cache
def sample_rows(split="train", language=""):
    """The embedded set as rows; in another language than English by its code."""
    nested = json.loads((_SAMPLE / language / f"{split}.json").read_text(encoding="utf-8"))
    return tuple(
        example(
            row["question"],
            paragraph["context"],
            *((answer["text"], answer["answer_start"]) for answer in row["answers"]),
            id=row["id"],
        )
        for article in nested["data"]
        for paragraph in article["paragraphs"]
        for row in paragraph["qas"]
    )


def sample(split="train", language=""):
    return examples(*sample_rows(split, language))


def small(count=6):
    """Rows of a few words each: answerable ones, and every third without an answer."""
    rows = [
        example(
            f"Which number has the word {at}?",
            f"The word {at} has the number {at * 7} in the list of {'many ' * (at % 5)}words. It is short.",
            *([] if at % 3 == 2 else [str(at * 7)]),
        )
        for at in range(count)
    ]
    return examples(*rows)
