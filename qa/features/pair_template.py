"""How a tokenizer joins question and context: where special tokens stand, and the type of every token."""

import itertools
from dataclasses import dataclass

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

from qa.errors import TokenizerError


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

    @property
    def special_tokens(self) -> int:
        """Tokens of a window that are neither question nor context."""
        return len(self.before) + len(self.between) + len(self.after)


def find_pair_template(tokenizer: PreTrainedTokenizerBase) -> PairTemplate:
    """Find out how `tokenizer` joins a question and a context by letting it join two words.

    Raises:
        TokenizerError: a tokenizer that is not fast, that drops one text of a pair, or that puts the second text first.

    """
    pad_left = tokenizer.padding_side == "left"
    joined = plain_backend(tokenizer).encode("question", "context")
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
    """Return a copy of the Rust tokenizer without the truncation and padding that its file may switch on."""
    if not tokenizer.is_fast:
        raise TokenizerError(f"tokenizer {_name(tokenizer)} is not fast: it has no character offsets")
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.no_truncation()
    backend.no_padding()
    backend.encode_special_tokens = tokenizer.split_special_tokens  # not part of the string
    return backend


def _name(tokenizer: PreTrainedTokenizerBase) -> str:
    return f"{type(tokenizer).__name__} ({tokenizer.name_or_path or 'unnamed'})"
