"""How a tokenizer joins question and context: where special tokens stand, and the type of every token."""

import itertools
from collections.abc import Collection
from dataclasses import dataclass, replace

import orjson
from tokenizers import Regex, Tokenizer, normalizers
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import PreTrainedTokenizerBase

from qa.errors import TokenizerError

_UNWRITTEN = "\U0010ffff\U0010fffe"  # characters that Unicode keeps free of meaning
_SENTENCEPIECE = b'"Precompiled"'  # the normaliser that has its table
_CONTROLS_AT_THE_BEGIN = "\\A[\x01-\x08\x0b\x0e-\x1f\x7f\x8f\x9f]+"


@dataclass(frozen=True, kw_only=True)
class PairTemplate:
    """How a tokenizer joins question and context: `before first between second after`, with the type of every token."""

    before: tuple[int, ...]
    between: tuple[int, ...]
    after: tuple[int, ...]
    before_types: tuple[int, ...]
    first_type: int
    between_types: tuple[int, ...]
    second_type: int
    after_types: tuple[int, ...]
    context_first: bool
    null_position: int
    """Where the window says "not in this window": counted from the start, or, if negative, from the end."""
    pad_id: int
    pad_type: int
    pad_left: bool
    unknown_id: int | None = None
    """Token that stands for all that the tokenizer does not know; None: it knows everything, or drops the rest."""
    steady_up_to: int | None = None
    """Longest window at which a model does not see padding: all longer ones are padded alike; None: it never does."""

    @property
    def special_tokens(self) -> int:
        """Tokens of a window that are neither question nor context."""
        return len(self.before) + len(self.between) + len(self.after)

    def question_first(self) -> "PairTemplate":
        """Return the template with the question before the context, and padding after both."""
        return replace(self, context_first=False, pad_left=False)

    def null_last(self, token: int) -> "PairTemplate":
        """Return the template with the null position at its last token, which is `token` where the context was last."""
        if self.after:
            return replace(self, null_position=-1)
        return replace(self, null_position=-1, after=(token,), after_types=(self.second_type,))


def find_pair_template(tokenizer: PreTrainedTokenizerBase, backend: Tokenizer) -> PairTemplate:
    """Find out how `tokenizer` joins a question and a context by letting it join two words.

    Args:
        tokenizer: its padding side decides whether the context comes first.
        backend: its `plain_backend`.

    Raises:
        TokenizerError: a tokenizer that drops one text of a pair, or that puts the second text first.

    """
    pad_left = tokenizer.padding_side == "left"
    joined = backend.encode("question", "context")
    sequence = joined.sequence_ids
    if [text for text, _ in itertools.groupby(sequence) if text is not None] != [0, 1]:
        raise TokenizerError(f"tokenizer {_name(tokenizer)} does not join two words to the first and then the second")
    ids, types = joined.ids, joined.type_ids
    a, b = sequence.index(0), len(sequence) - sequence[::-1].index(0)
    c, d = sequence.index(1), len(sequence) - sequence[::-1].index(1)
    return PairTemplate(
        before=tuple(ids[:a]),
        between=tuple(ids[b:c]),
        after=tuple(ids[d:]),
        before_types=tuple(types[:a]),
        first_type=types[a],
        between_types=tuple(types[b:c]),
        second_type=types[c],
        after_types=tuple(types[d:]),
        context_first=pad_left,
        null_position=_null_position(tokenizer, ids[:a], ids[d:]),
        pad_id=tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0,
        pad_type=tokenizer.pad_token_type_id,
        pad_left=pad_left,
        unknown_id=tokenizer.unk_token_id,
    )


def _null_position(tokenizer: PreTrainedTokenizerBase, before: list[int], after: list[int]) -> int:
    """Find CLS, else the token that begins a text, else take the first: the published scripts' order."""
    for token in (tokenizer.cls_token_id, tokenizer.bos_token_id):
        if token in before:
            return before.index(token)
        if token in after:
            return after.index(token) - len(after)
    return 0


def plain_backend(tokenizer: PreTrainedTokenizerBase) -> Tokenizer:
    """Return a copy of the Rust tokenizer for which text is text.

    It neither truncates nor pads, as its file may ask for, and takes no part of a text for a special token: a text that
    holds "[SEP]" or "</s>" must not fake the border of question and context. Decomposed letters are composed first, as
    SentencePiece does.

    Raises:
        TokenizerError: a tokenizer that is not fast.

    """
    if not tokenizer.is_fast:
        raise TokenizerError(f"tokenizer {_name(tokenizer)} is not fast: it has no character offsets")
    own = tokenizer.backend_tokenizer
    special = {token for token in tokenizer.all_special_tokens if token != tokenizer.unk_token}
    backend = _copied(own, backend_text(own))
    if any(
        backend.token_to_id(token) in backend.encode(f"a {token}", add_special_tokens=False).ids for token in special
    ):
        backend = _copied(own, _without_pieces(backend_text(own), special))
    return backend


def backend_text(backend: Tokenizer) -> str:
    """Return a Rust tokenizer as JSON, without a pre-tokenizer that is written in Python, as RoFormer's for Chinese."""
    try:
        text: str = backend.to_str()
    except Exception:  # noqa: BLE001  # the library raises nothing more precise
        written_in_python, backend.pre_tokenizer = backend.pre_tokenizer, WhitespaceSplit()
        text = backend.to_str()
        backend.pre_tokenizer = written_in_python
    return text


def _copied(own: Tokenizer, text: str) -> Tokenizer:
    backend = Tokenizer.from_str(text)
    if backend.normalizer is not None and _SENTENCEPIECE in backend.normalizer.__getstate__():
        # The library takes the shortest rule for a letter and drops the marks that are left: tokenizers #2116, #2334.
        # Where it drops the first characters of a text, the offsets of all others are off by as many.
        first = normalizers.Replace(Regex(_CONTROLS_AT_THE_BEGIN), "")
        backend.normalizer = normalizers.Sequence([first, normalizers.NFC(), backend.normalizer])
    if own.pre_tokenizer is not None:
        backend.pre_tokenizer = own.pre_tokenizer  # shared, since it may be written in Python
    backend.no_truncation()
    backend.no_padding()
    backend.encode_special_tokens = True  # not part of the string
    return backend


def _without_pieces(text: str, special: Collection[str]) -> str:
    """Rename special tokens in a tokenizer's vocabulary, where unigram models find them as they find any piece."""
    content = orjson.loads(text)
    vocabulary = content["model"]["vocab"]
    pairs = vocabulary.items() if isinstance(vocabulary, dict) else vocabulary  # with ids, or with scores
    renamed = [(f"{_UNWRITTEN}{piece}" if piece in special else piece, number) for piece, number in pairs]
    content["model"]["vocab"] = dict(renamed) if isinstance(vocabulary, dict) else renamed
    return orjson.dumps(content).decode()


def _name(tokenizer: PreTrainedTokenizerBase) -> str:
    return f"{type(tokenizer).__name__} ({tokenizer.name_or_path or 'unnamed'})"
