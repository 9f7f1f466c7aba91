"""Tokenizers of many families, which lose different things: accents, marks, controls, first letters, whole words."""

from functools import cache

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, processors, trainers
from tokenizers import pre_tokenizers as split
from transformers import AlbertTokenizer, BertTokenizer, PreTrainedTokenizerFast, XLMRobertaTokenizer

from tests.support import sentencepiece, tiny

_SIZE = 600
_SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def _bert_cased(texts):
    return BertTokenizer(do_lower_case=False).train_new_from_iterator(iter(texts), _SIZE, show_progress=False)


def _unigram(kind):
    return lambda texts: kind().train_new_from_iterator(iter(texts), _SIZE, show_progress=False)


def _framed(backend, trainer, texts):
    """With special tokens as RoBERTa has them."""
    backend.train_from_iterator(texts, trainer)
    backend.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), True, True)
    named = {"bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "pad_token": "<pad>"}
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", mask_token="<mask>", **named)


def _bpe(pre_tokenizer, normalizer=None, **more):
    def made(texts):
        backend = Tokenizer(models.BPE(unk_token="<unk>", **more))
        backend.pre_tokenizer, backend.decoder = pre_tokenizer, decoders.ByteLevel()
        if normalizer is not None:
            backend.normalizer = normalizer
        fallback = [f"<0x{byte:02X}>" for byte in range(256)] if more.get("byte_fallback") else []
        alphabet = [] if more.get("byte_fallback") else split.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(
            vocab_size=_SIZE + len(fallback),
            special_tokens=[*_SPECIAL, *fallback],
            initial_alphabet=alphabet,
            show_progress=False,
        )
        return _framed(backend, trainer, texts)

    return made


def _word_level(texts):
    backend = Tokenizer(models.WordLevel(unk_token="<unk>"))
    backend.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    backend.pre_tokenizer = split.Whitespace()
    trainer = trainers.WordLevelTrainer(vocab_size=_SIZE, special_tokens=_SPECIAL, show_progress=False)
    return _framed(backend, trainer, texts)


def _with_normal_forms(texts):
    """As XLM-R is published, with the table that training here leaves out."""
    made = _unigram(XLMRobertaTokenizer)(texts)
    made.backend_tokenizer.normalizer = normalizers.Precompiled(sentencepiece.charsmap(sentencepiece.rules()))
    return made


_MADE = {
    "bert-cased": _bert_cased,
    "albert": _unigram(AlbertTokenizer),
    "xlm-roberta": _unigram(XLMRobertaTokenizer),
    "sentencepiece": _with_normal_forms,
    # The first letter of every word is in no token.
    "robbert": _bpe(split.Sequence([split.Whitespace(), split.ByteLevel(add_prefix_space=True), split.Punctuation()])),
    # As Llama's: what is not in the vocabulary becomes bytes.
    "byte-fallback": _bpe(split.Metaspace(), byte_fallback=True),
    # As CLIP's: white space becomes one space, letters are lower.
    "clip": _bpe(
        split.Sequence([split.Split(Regex(r"\s+"), "removed"), split.ByteLevel(add_prefix_space=False)]),
        normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]),
    ),
    "word-level": _word_level,
}
FAMILIES = ("bert", "roberta", "modernbert", "xlnet", "deberta-v2", *_MADE)
MORE = [
    "ท่าเรือสร้างโดยสมชายที่เชียงใหม่",
    "등대는 라그나가 세웠다.",
    "نمی\u200cخواهم خانه\u200cها",
    "दीपस्तंभ लुंड ने बनाया।",
    "👩‍🔬 🇫🇷 👍🏽",
]


@cache
def tokenizer(family):
    if family not in _MADE:
        return tiny.tokenizer(family)
    texts = [row["context"] for row in tiny.sample_rows("train")[:300]]
    return _MADE[family]([*dict.fromkeys(texts), *MORE])
