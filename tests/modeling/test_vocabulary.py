"""A trimmed vocabulary reads its corpus as the whole one does, answers the same, and holds together."""

import json
import unicodedata

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from qa.features.pair_template import find_pair_template, plain_backend
from qa.inference.predictor import Predictor
from qa.inference.torch_reader import torch_backend
from qa.modeling.reader import Reader, load_reader
from qa.modeling.vocabulary import trim_reader, trim_tokenizer
from tests.support import tiny
from tests.support import tokenizers as families

CONTEXT = "Francisco de Orellana named the Amazon in 1541, after a fight on its banks."
QUESTION = "Who named the Amazon?"
CORPUS = (CONTEXT, QUESTION, "The river carries 209,000 cubic metres of water a second.")
SETS = {"en": tiny.sample_rows("validation"), "zh": tiny.sample_rows("validation", "zh")}


def reader_of(family, **settings):
    tokenizer, model = tiny.fresh_tokenizer(family), tiny.model(family, **settings).eval()
    return Reader.fitted(model, tokenizer, max_length=64, name=family)


def texts_of(rows):
    return [text for row in rows for text in (row["question"], row["context"])]


def assert_read_alike(before, now, kept, texts):
    """The dull comparison: text by text, ids and places."""
    one, other = plain_backend(before), plain_backend(now)
    for text in texts:
        old, new = one.encode(text), other.encode(text)  # with special tokens
        assert [int(kept[number]) for number in new.ids] == old.ids, text
        assert new.offsets == old.offsets, text
        assert new.type_ids == old.type_ids, text


def plain(model, **options):
    """A tokenizer of the library's own class."""
    backend = Tokenizer(model)
    backend.pre_tokenizer = options.pop("pre_tokenizer", pre_tokenizers.Whitespace())
    backend.normalizer = options.pop("normalizer", None)
    special = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep")}
    backend.add_special_tokens(list(special.values()))
    if "post_processor" in options:
        backend.post_processor = options.pop("post_processor")(backend)
    return PreTrainedTokenizerFast(tokenizer_object=backend, **special, **options)


# --- reading ---


@pytest.mark.parametrize("language", SETS)
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_every_kind_of_tokenizer_reads_the_corpus_as_before(family, language):
    texts = texts_of(SETS[language][:40])
    whole = tiny.fresh_tokenizer(family)
    trimmed, kept = trim_tokenizer(whole, texts)
    assert type(trimmed) is type(whole)
    assert len(trimmed) == len(kept) < len(whole)
    assert_read_alike(whole, trimmed, kept, texts)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_it_is_the_same_after_saving_and_loading(family, tmp_path):
    trimmed, kept = trim_tokenizer(tiny.fresh_tokenizer(family), CORPUS)
    trimmed.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded.get_vocab() == trimmed.get_vocab()
    assert_read_alike(tiny.tokenizer(family), loaded, kept, CORPUS)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_ids_have_no_gaps_and_special_tokens_stay(family):
    whole = tiny.fresh_tokenizer(family)
    trimmed, kept = trim_tokenizer(whole, CORPUS)
    assert sorted(trimmed.get_vocab().values()) == list(range(len(kept)))
    assert trimmed.convert_ids_to_tokens(range(len(kept))) == whole.convert_ids_to_tokens(kept.tolist())
    assert trimmed.all_special_tokens == whole.all_special_tokens
    old, new = (find_pair_template(one, plain_backend(one)) for one in (whole, trimmed))
    assert kept[[*new.before, *new.between, *new.after]].tolist() == [*old.before, *old.between, *old.after]
    assert kept[new.pad_id] == old.pad_id
    assert (new.null_position, new.pad_left) == (old.null_position, old.pad_left)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_new_words_of_the_same_letters_are_split_and_not_lost(family):
    trimmed, _ = trim_tokenizer(tiny.fresh_tokenizer(family), CORPUS)
    ids = trimmed("rivets forced undone", add_special_tokens=False)["input_ids"]
    assert trimmed.unk_token_id not in ids


def test_what_the_corpus_does_not_use_goes():
    whole = tiny.fresh_tokenizer("bert")
    trimmed, _ = trim_tokenizer(whole, [QUESTION])
    assert "amazon" in whole.get_vocab() or "##on" in whole.get_vocab()
    unused = whole.get_vocab().keys() - trimmed.get_vocab().keys()
    assert all(len(token.removeprefix("##")) > 1 for token in unused if token.isascii())
    used = set(whole.tokenize(QUESTION))
    assert used <= trimmed.get_vocab().keys()


def test_a_larger_corpus_keeps_more():
    sizes = [len(trim_tokenizer(tiny.fresh_tokenizer("bert"), CORPUS[:count])[0]) for count in (0, 1, 3)]
    assert sizes == sorted(set(sizes))


# --- odd vocabularies ---


def test_a_word_that_wordpiece_gave_up_half_way_is_still_given_up():
    """`abx` is unknown, since nothing follows `ab`; without the unused `ab` it would become `a ##bx`."""
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "ab", "##bx", "c", "##b", "##x1", "##bxy"]
    model = models.WordPiece({token: at for at, token in enumerate(tokens)}, unk_token="[UNK]")
    whole = plain(model)
    corpus = ["abx", "c", "abxy cbx"]
    assert whole.tokenize("abx") == ["[UNK]"]
    assert whole.tokenize("cbx") == ["c", "##bx"]
    trimmed, kept = trim_tokenizer(whole, corpus)
    assert_read_alike(whole, trimmed, kept, corpus)
    assert "ab" in trimmed.get_vocab()
    assert "##x1" not in trimmed.get_vocab()


def test_unigram_keeps_the_price_of_the_unknown():
    """With a price that the least likely *kept* piece sets, `ab` + `cd` would lose to unknown + `bcd`."""
    pieces = [("[UNK]", 0.0), ("ab", -15.0), ("cd", -15.0), ("bcd", -3.0), ("zz", -99.0), ("e", -1.0)]
    whole = plain(models.Unigram(pieces, unk_id=0))
    corpus = ["abcd", "e bcd"]
    assert whole.tokenize("abcd") == ["ab", "cd"]
    trimmed, kept = trim_tokenizer(whole, corpus)
    assert_read_alike(whole, trimmed, kept, [*corpus, "abcd?"])


def test_bpe_keeps_the_merges_that_lead_to_a_token_and_no_others():
    merges = [("h", "e"), ("l", "l"), ("ll", "o"), ("he", "llo"), ("w", "o"), ("wo", "w")]
    tokens = ["[UNK]", *"helow", *(one + two for one, two in merges)]
    whole = plain(models.BPE({token: at for at, token in enumerate(tokens)}, merges, unk_token="[UNK]"))
    trimmed, kept = trim_tokenizer(whole, ["hello"])
    assert_read_alike(whole, trimmed, kept, ["hello", "hell", "he"])
    assert {"he", "ll", "llo"} <= trimmed.get_vocab().keys()
    assert not {"wo", "wow"} & trimmed.get_vocab().keys()
    assert trimmed.tokenize("wow") == [*"wow"]


def test_decomposed_text_is_read_as_before():
    whole, texts = families.tokenizer("sentencepiece"), [*CORPUS, unicodedata.normalize("NFD", "Tiếng Việt rất đẹp")]
    trimmed, kept = trim_tokenizer(whole, texts)
    assert_read_alike(whole, trimmed, kept, texts)


def test_bytes_that_stand_for_unknown_characters_stay():
    tokens = ["[UNK]", *"ab", *(f"<0x{byte:02X}>" for byte in range(256)), "zz"]
    vocabulary = {token: at for at, token in enumerate(tokens)}
    whole = plain(models.BPE(vocabulary, [], unk_token="[UNK]", byte_fallback=True))
    trimmed, kept = trim_tokenizer(whole, ["ab"])
    assert_read_alike(whole, trimmed, kept, ["ab", "aé漢"])
    assert "zz" not in trimmed.get_vocab()


def test_added_tokens_stay_wherever_they_are_numbered():
    """Two that the model does not know, one of them with a template that numbers it once more, behind another step."""

    def post_processor(backend):
        numbered = [(token, backend.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
        template = processors.TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B [SEP]", numbered)
        return processors.Sequence([processors.ByteLevel(trim_offsets=True), template])

    tokens = [*"abcdefgh", "zz", "yy"]
    model = models.WordLevel({token: at for at, token in enumerate(tokens)}, unk_token="h")
    whole = plain(model, post_processor=post_processor)
    whole.add_tokens(["<date>"])
    trimmed, kept = trim_tokenizer(whole, ["a b <date>"])
    assert_read_alike(whole, trimmed, kept, ["a b <date>", "c d"])
    assert len(trimmed) == len(whole) - 2


def test_the_normaliser_stays():
    whole = plain(
        models.WordPiece({"[UNK]": 0, "fin": 1, "fi": 2, "x": 3, "yy": 4}, unk_token="[UNK]"),
        normalizer=normalizers.NFKC(),
    )
    trimmed, kept = trim_tokenizer(whole, ["ﬁn"])
    assert trimmed.tokenize("ﬁn") == ["fin"]
    assert_read_alike(whole, trimmed, kept, ["ﬁn", "fin"])


# --- models ---


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_the_model_answers_the_corpus_as_before(family, tmp_path):
    rows = SETS["en"][:3]
    whole = reader_of(family)
    wanted = [answers(whole, row) for row in rows]
    size = len(whole.tokenizer)
    trimmed = trim_reader(reader_of(family), texts_of(rows), max_length=64)
    assert trimmed.model.get_input_embeddings().num_embeddings == len(trimmed.tokenizer) < size
    assert trimmed.model.config.vocab_size == len(trimmed.tokenizer)
    assert [answers(trimmed, row) for row in rows] == wanted
    trimmed.model.save_pretrained(tmp_path)
    trimmed.tokenizer.save_pretrained(tmp_path)
    assert [answers(load_reader(str(tmp_path), max_length=64), row) for row in rows] == wanted


def answers(reader, row):
    found = Predictor(torch_backend(reader, device=torch.device("cpu")))(
        question=row["question"], context=row["context"], top_k=5
    )
    return [(answer["start"], answer["end"], round(answer["score"], 4)) for answer in found]


@pytest.mark.parametrize("family", ["bert", "roberta", "modernbert"])
def test_the_configuration_names_the_new_ids(family):
    trimmed = trim_reader(reader_of(family), CORPUS, max_length=64)
    config, tokenizer = trimmed.model.config, trimmed.tokenizer
    assert config.pad_token_id == tokenizer.pad_token_id == trimmed.model.get_input_embeddings().padding_idx
    for name in ("bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"):
        if getattr(config, name, None) is not None:
            assert getattr(config, name) == getattr(tokenizer, name), name


def test_rows_beyond_the_tokenizer_go():
    """Published models pad their embeddings; the rows have no token."""
    size = len(tiny.tokenizer())
    trimmed = trim_reader(reader_of("bert", vocab_size=size + 35), CORPUS, max_length=64)
    assert trimmed.model.get_input_embeddings().num_embeddings == len(trimmed.tokenizer)


def test_every_token_keeps_its_row():
    whole = reader_of("bert")
    rows = whole.model.get_input_embeddings().weight.detach().clone()
    _, kept = trim_tokenizer(whole.tokenizer, CORPUS)
    trimmed = trim_reader(whole, CORPUS, max_length=64)
    assert torch.equal(trimmed.model.get_input_embeddings().weight, rows[torch.from_numpy(np.asarray(kept))])
