"""A reader with the part of its vocabulary that a corpus uses; the texts of the corpus are read as before.

Of a multilingual model the embeddings are most of the parameters, and a corpus uses few of them. Reading stays the
same, by kind of tokenizer: Unigram's best split is still there, with fewer rivals, and what is unknown costs the same
as long as the least likely piece stays; BPE makes the same merges in the same order as long as those that lead to a
kept token stay; WordPiece finds the same longest pieces, except in words that it gave up half-way. What is read
differently all the same is found by reading the corpus again, and keeps every token that it could be made of.
"""

import json
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Int
from tokenizers import Encoding, Tokenizer
from tokenizers.pre_tokenizers import ByteLevel
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from qa.errors import ModelError
from qa.features.pair_template import backend_text, plain_backend
from qa.modeling.reader import Reader

_ENCODE_AT_ONCE = 1024  # texts
_BYTE = re.compile("<0x[0-9A-F]{2}>")
_TOKENIZER_FILES = {"tokenizer.json", "tokenizer_config.json"}


def trim_reader(reader: Reader, texts: Iterable[str], *, max_length: int | None = None) -> Reader:
    """Return the reader with the tokens that the texts use; its model is changed in place.

    Kept besides are special and added tokens, bytes, and the one-character tokens of every character of the texts, so
    that new words of the same letters are split, not lost.

    Args:
        reader: of any kind of tokenizer that the library runs in Rust.
        texts: questions and contexts.
        max_length: longest window, in tokens, that the model must take; None: the one of its settings.

    Raises:
        TokenizerError: a tokenizer that is not fast.
        ModelError: the texts would be read differently.

    """
    tokenizer, kept = trim_tokenizer(reader.tokenizer, texts)
    _cut_embeddings(reader.model, kept, tokenizer)
    longest = reader.usual_settings.max_length if max_length is None else max_length
    trimmed = Reader.fitted(reader.model, tokenizer, max_length=longest, name=reader.name)
    return replace(trimmed, settings=reader.settings, has_new_head=reader.has_new_head)


def trim_tokenizer(
    tokenizer: PreTrainedTokenizerBase, texts: Iterable[str]
) -> tuple[PreTrainedTokenizerBase, Int[np.ndarray, "token"]]:
    """Return the tokenizer with the tokens that the texts use, and what each token's id was.

    Raises:
        TokenizerError, ModelError: see `trim_reader`.

    """
    whole, corpus = _Vocabulary.of(tokenizer), list(dict.fromkeys(texts))
    used = {number for encoding in _encoded(whole.backend, corpus) for number in encoding.ids}
    kept = whole.needed_for(used | set(tokenizer.all_special_ids))
    trimmed, differing = _trimmed(tokenizer, whole, kept, corpus)
    if differing:
        kept = whole.needed_for(kept | whole.parts_of(differing))
        trimmed, differing = _trimmed(tokenizer, whole, kept, corpus)
    if differing:
        name = tokenizer.name_or_path or type(tokenizer).__name__
        raise ModelError(f"the tokenizer of {name!r} reads {differing[0]!r:.80} differently with fewer tokens")
    return trimmed, np.array(whole.in_order(kept))


def _trimmed(
    tokenizer: PreTrainedTokenizerBase, whole: "_Vocabulary", kept: set[int], corpus: Sequence[str]
) -> tuple[PreTrainedTokenizerBase, list[str]]:
    """Return the tokenizer with the kept tokens, and the texts that it reads differently."""
    trimmed = _rebuilt(tokenizer, whole.description_of(kept))
    old_ids, backend = np.array(whole.in_order(kept)), plain_backend(trimmed)
    both = zip(corpus, _encoded(whole.backend, corpus), _encoded(backend, corpus), strict=True)
    differing = [
        text
        for text, before, now in both
        if before.offsets != now.offsets or before.ids != old_ids[np.array(now.ids, dtype=np.int64)].tolist()
    ]
    return trimmed, differing


def _encoded(backend: Tokenizer, texts: Sequence[str]) -> Iterator[Encoding]:
    for begin in range(0, len(texts), _ENCODE_AT_ONCE):
        yield from backend.encode_batch(texts[begin : begin + _ENCODE_AT_ONCE], add_special_tokens=False)


def _rebuilt(tokenizer: PreTrainedTokenizerBase, description: dict[str, Any]) -> PreTrainedTokenizerBase:
    """Return a tokenizer of the same class and settings with another `tokenizer.json`."""
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        for file in Path(folder).iterdir():
            if file.name not in _TOKENIZER_FILES:  # other forms of the whole vocabulary
                file.unlink()
        settings_file = Path(folder) / "tokenizer_config.json"
        settings = json.loads(settings_file.read_text(encoding="utf-8"))
        settings.pop("added_tokens_decoder", None)  # their ids, once more
        if "unk_id" in settings:
            settings["unk_id"] = description["model"]["unk_id"]
        settings_file.write_text(json.dumps(settings), encoding="utf-8")
        (Path(folder) / "tokenizer.json").write_text(json.dumps(description), encoding="utf-8")
        rebuilt: PreTrainedTokenizerBase = type(tokenizer).from_pretrained(folder)
    rebuilt.name_or_path = tokenizer.name_or_path
    return rebuilt


# --- which tokens --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Vocabulary:
    """A tokenizer's tokens, and the JSON that describes how it uses them."""

    backend: Tokenizer
    """For which text is text."""
    own: Tokenizer
    description: dict[str, Any]
    ids: dict[str, int]
    tokens: dict[int, str]

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> "_Vocabulary":
        backend, own = plain_backend(tokenizer), tokenizer.backend_tokenizer
        ids = own.get_vocab(with_added_tokens=True)
        tokens = {number: token for token, number in ids.items()}
        description = json.loads(backend_text(own)) | {"truncation": None, "padding": None}  # calls say these
        return cls(backend, own, description, ids, tokens)

    @property
    def model(self) -> dict[str, Any]:
        """What is special to Unigram, BPE or WordPiece."""
        model: dict[str, Any] = self.description["model"]
        return model

    def needed_for(self, used: set[int]) -> set[int]:
        """Add to the ids of used tokens those of the tokens that must stay with them."""
        added = {self.ids[token["content"]] for token in self.description["added_tokens"]}
        letters = set(ByteLevel.alphabet()).union(*(self.tokens[number] for number in used))
        kept = used | added | {number for token, number in self.ids.items() if self._is_letter(token, letters)}
        kept |= self._unknown()
        return kept | self._merged_to(kept)

    def _unknown(self) -> set[int]:
        """Return the ids of what decides when a character is unknown, and of the token that then stands for it."""
        if isinstance(self.model["vocab"], dict):
            return {self.ids[token] for token in (self.model.get("unk_token"),) if token in self.ids}
        scores = [score for _, score in self.model["vocab"]]
        least_likely = int(np.argmin(scores))  # the unknown costs a fixed amount more than this piece
        return {least_likely, *({self.model["unk_id"]} - {None})}

    def _is_letter(self, token: str, letters: set[str]) -> bool:
        bare = token.removeprefix(self._prefix).removesuffix(self.model.get("end_of_word_suffix") or "")
        return bare in letters or _BYTE.fullmatch(token) is not None

    def _merged_to(self, kept: set[int]) -> set[int]:
        """Return the tokens that BPE passes through on its way to the kept ones."""
        pairs = defaultdict(list)
        for one, two in self._merges():
            pairs[one + two.removeprefix(self._prefix)].append((one, two))
        waiting, found = [self.tokens[number] for number in kept], set[str]()
        while waiting:
            new = {part for pair in pairs[waiting.pop()] for part in pair} - found
            found |= new
            waiting.extend(new)
        return {self.ids[token] for token in found}

    def parts_of(self, texts: Iterable[str]) -> set[int]:
        """Return every token that is a part of a word of the texts."""
        longest = max(len(token) for token in self.ids)
        words = {word for text in texts for word in self._words(text)}
        parts = {
            word[begin:end]
            for word in words
            for begin in range(len(word))
            for end in range(begin + 1, min(begin + longest, len(word)) + 1)
        }
        return {self.ids[name] for part in parts for name in (part, self._prefix + part) if name in self.ids}

    def _words(self, text: str) -> list[str]:
        normalizer, splitter = self.backend.normalizer, self.own.pre_tokenizer
        normalized = text if normalizer is None else normalizer.normalize_str(text)
        return [normalized] if splitter is None else [word for word, _ in splitter.pre_tokenize_str(normalized)]

    def _merges(self) -> Iterator[tuple[str, str]]:
        for merge in self.model.get("merges") or ():
            one, two = merge.split(" ") if isinstance(merge, str) else merge
            yield one, two

    @property
    def _prefix(self) -> str:
        """What marks a token that continues a word."""
        return self.model.get("continuing_subword_prefix") or ""

    # --- the same with fewer ---

    def in_order(self, kept: set[int]) -> list[int]:
        """Return the kept ids in the order of their new ones: added tokens that the model does not know come last."""
        known = self.own.get_vocab(with_added_tokens=False)
        return sorted(kept, key=lambda number: (self.tokens[number] not in known, number))

    def description_of(self, kept: set[int]) -> dict[str, Any]:
        """Return the JSON of the tokenizer with the kept tokens, numbered anew wherever it numbers them."""
        ids = {self.tokens[number]: new for new, number in enumerate(self.in_order(kept))}
        added = [token | {"id": ids[token["content"]]} for token in self.description["added_tokens"]]
        processor = _renumbered(self.description["post_processor"], ids)
        return self.description | {
            "model": self._model_of(kept, ids),
            "added_tokens": added,
            "post_processor": processor,
        }

    def _model_of(self, kept: set[int], ids: dict[str, int]) -> dict[str, Any]:
        model, vocabulary = dict(self.model), self.model["vocab"]
        if isinstance(vocabulary, list):  # the place is the id
            model["vocab"] = [piece for number, piece in enumerate(vocabulary) if number in kept]
            model["unk_id"] = None if model["unk_id"] is None else ids[vocabulary[model["unk_id"]][0]]
        else:
            model["vocab"] = {token: ids[token] for token in vocabulary if token in ids}
        if "merges" in model:
            model["merges"] = [
                (one, two)
                for one, two in self._merges()
                if {one, two, one + two.removeprefix(self._prefix)} <= ids.keys()
            ]
        return model


def _renumbered(processor: dict[str, Any] | None, ids: dict[str, int]) -> dict[str, Any] | None:
    """Return the step that adds special tokens, with their new ids."""
    if processor is None:
        return None
    changed = dict(processor)
    for name in processor.keys() & {"sep", "cls"}:  # BERT's and RoBERTa's own
        changed[name] = [processor[name][0], ids[processor[name][0]]]
    if "special_tokens" in processor:  # a template
        changed["special_tokens"] = {
            name: token | {"ids": [ids[part] for part in token["tokens"]]}
            for name, token in processor["special_tokens"].items()
        }
    if "processors" in processor:  # several
        changed["processors"] = [_renumbered(part, ids) for part in processor["processors"]]
    return changed


# --- the model -----------------------------------------------------------------------------------------------------


def _cut_embeddings(model: PreTrainedModel, kept: Int[np.ndarray, "token"], tokenizer: PreTrainedTokenizerBase) -> None:
    """Keep the rows of the embeddings that the ids name, in their order, and let the configuration name the new ids."""
    rows = cast("nn.Embedding", model.get_input_embeddings()).weight.detach()[torch.from_numpy(kept)]
    model.resize_token_embeddings(len(kept))  # drops the last rows, and tells the configuration
    embedding = cast("nn.Embedding", model.get_input_embeddings())
    with torch.no_grad():
        embedding.weight.copy_(rows)
    new_ids = {int(old): new for new, old in enumerate(kept)}
    if embedding.padding_idx is not None:
        embedding.padding_idx = new_ids.get(embedding.padding_idx, tokenizer.pad_token_id)
    for name, value in vars(model.config).items():
        if name.endswith("_token_id") and isinstance(value, int):
            setattr(model.config, name, new_ids.get(value, getattr(tokenizer, name, None)))
