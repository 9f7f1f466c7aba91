"""Examples -> features: windows of tokens over contexts, and the way back to characters. No labels.

A feature is a row of integers: its example, where its window starts in the context's tokens, and how many it holds. The
tokens themselves are kept once per distinct context and once per question, since data sets ask several questions about
a context and windows overlap; `collation.py` joins the parts when a batch is made.

Token spans are closed and count tokens of the window's context; character spans are half-open and count code points.
Only `Features.char_spans` and `labels.py` translate between the two.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
from jaxtyping import Int
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

from qa.config import FeaturesConfig
from qa.errors import FeatureError
from qa.features.offsets import TokenOffsets, cover_texts
from qa.features.pair_template import PairTemplate, find_pair_template, plain_backend
from qa.representations import html_table

NO_TOKEN = -1
"""Token of a span of characters that no token of its context holds."""
ENCODE_AT_ONCE = 1024
"""Texts; bounds the memory of encodings, which are far larger than the integers kept."""
CHARACTERS_AT_ONCE = 1 << 22
"""Of contexts; the same where they are long, unless a single one has more."""


@runtime_checkable
class Rows(Protocol):
    """Examples as the data sets library keeps them; whoever only asks a reader does without that library."""

    def with_format(self, type: str) -> Any:  # noqa: A002, ANN401  # that library's name; rows as another type
        """Return the same rows, read as Arrow tables if that is asked for."""


@dataclass(frozen=True, eq=False)
class Ragged:
    """Rows of different lengths, end to end: row `i` is `values[bounds[i]:bounds[i + 1]]`."""

    values: Int[np.ndarray, "value"]
    bounds: Int[np.ndarray, "row_and_one"]

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def __getitem__(self, row: int) -> Int[np.ndarray, "value"]:
        return self.values[self.bounds[row] : self.bounds[row + 1]]

    @property
    def lengths(self) -> Int[np.ndarray, "row"]:
        """Length of every row."""
        return np.diff(self.bounds)

    def values_of(self, rows: Int[np.ndarray, "some"]) -> Int[np.ndarray, "place"]:
        """Return where the values of some rows are, row after row."""
        lengths = self.bounds[rows + 1] - self.bounds[rows]
        shift = self.bounds[rows] - (np.cumsum(lengths) - lengths)
        places: Int[np.ndarray, "place"] = np.repeat(shift, lengths) + np.arange(int(lengths.sum()))
        return places

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]]) -> "Ragged":
        """Join `rows`."""
        bounds = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum([len(row) for row in rows], out=bounds[1:])
        values = np.fromiter(itertools.chain.from_iterable(rows), dtype=np.int32, count=int(bounds[-1]))
        return cls(values, bounds)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Features:
    """All features of a set of examples.

    Per example: `question_ids` and `context_of`, the row of its context. Per distinct context: `context_ids` and the
    characters that each token covers, `token_start` and `token_end` (flat, bounded like `context_ids`). Per feature:
    the example, the window's `first` context token and its `size` in tokens.
    """

    template: PairTemplate
    question_ids: Ragged
    context_of: Int[np.ndarray, "example"]
    context_ids: Ragged
    token_start: Int[np.ndarray, "token"]
    token_end: Int[np.ndarray, "token"]
    example: Int[np.ndarray, "feature"]
    first: Int[np.ndarray, "feature"]
    size: Int[np.ndarray, "feature"]
    padded_to: int | None = None
    """Tokens that all rows are padded to, for a model that sees padding; None: as many as the batch needs."""
    key: str = ""
    """Hash of tokenizer, settings and examples, where features come from the cache."""

    def __len__(self) -> int:
        return len(self.example)

    def __repr__(self) -> str:
        return f"Features({', '.join(f'{value} {name}' for name, value in self._facts().items())})"

    def _repr_html_(self) -> str:
        return html_table((), self._facts().items())

    def _facts(self) -> dict[str, int]:
        lengths = self.lengths
        return {
            "windows": len(self),
            "examples": len(self.question_ids),
            "contexts": len(self.context_ids),
            "tokens in the longest window": int(lengths.max(initial=0)),
        }

    @property
    def lengths(self) -> Int[np.ndarray, "feature"]:
        """Tokens of every feature, padding aside."""
        return self.lengths_of(np.arange(len(self)))

    def lengths_of(self, indices: Int[np.ndarray, "some"]) -> Int[np.ndarray, "some"]:
        """Tokens of the given features, padding aside."""
        example, bounds = self.example[indices], self.question_ids.bounds
        lengths: Int[np.ndarray, "some"] = bounds[example + 1] - bounds[example] + self.size[indices]
        return lengths + self.template.special_tokens

    def row(self, index: int) -> tuple[Int[np.ndarray, "token"], Int[np.ndarray, "token"], int]:
        """Return a feature's token ids, their types, and where its context begins among them."""
        template, example = self.template, int(self.example[index])
        first = int(self.first[index])
        question = self.question_ids[example]
        context = self.context_ids[int(self.context_of[example])][first : first + int(self.size[index])]
        one, two = (context, question) if template.context_first else (question, context)
        before, between, after = (
            np.array(part, np.int32) for part in (template.before, template.between, template.after)
        )
        types = (
            *template.before_types,
            *[template.first_type] * len(one),
            *template.between_types,
            *[template.second_type] * len(two),
            *template.after_types,
        )
        context_begin = len(before) + (0 if template.context_first else len(one) + len(between))
        return np.concatenate([before, one, between, two, after]), np.array(types, np.int32), context_begin

    def of_examples(self, begin: int, end: int) -> "Features":
        """Return the features of the examples from `begin` to before `end`, with the contexts that they have."""
        features = slice(*np.searchsorted(self.example, [begin, end]).tolist())
        contexts, context_of = np.unique(self.context_of[begin:end], return_inverse=True)
        tokens = self.context_ids.values_of(contexts)
        questions = self.question_ids.bounds[begin : end + 1]
        lengths = self.context_ids.bounds[contexts + 1] - self.context_ids.bounds[contexts]
        return replace(
            self,
            question_ids=Ragged(self.question_ids.values[questions[0] : questions[-1]], questions - questions[0]),
            context_of=context_of.astype(np.int32),
            context_ids=Ragged(self.context_ids.values[tokens], np.concatenate([[0], np.cumsum(lengths)])),
            token_start=self.token_start[tokens],
            token_end=self.token_end[tokens],
            example=self.example[features] - np.int32(begin),
            first=self.first[features],
            size=self.size[features],
            key="",
        )

    def char_spans(
        self, feature: Int[np.ndarray, "span"], first: Int[np.ndarray, "span"], last: Int[np.ndarray, "span"]
    ) -> tuple[Int[np.ndarray, "span"], Int[np.ndarray, "span"]]:
        """Translate closed token spans, counted in each feature's window, to half-open character spans."""
        origin = self.context_ids.bounds[self.context_of[self.example[feature]]] + self.first[feature]
        return self.token_start[origin + first], self.token_end[origin + last]


# --- building -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Encoder:
    """A tokenizer made ready for features once, since copying it takes longer than encoding a question."""

    backend: Tokenizer
    template: PairTemplate

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> "Encoder":
        """Copy the tokenizer and find out how it joins texts.

        Raises:
            TokenizerError: a tokenizer that is not fast, or that drops one text of a pair.

        """
        backend = plain_backend(tokenizer)
        return cls(backend, find_pair_template(tokenizer, backend))


def build_features(examples: Rows, tokenizer: PreTrainedTokenizerBase, config: FeaturesConfig) -> Features:
    """Cut examples into windows, and keep the characters of every token.

    Args:
        examples: rows with `question` and `context`.
        tokenizer: a fast tokenizer; its padding side decides whether the context comes first.
        config: lengths and stride, in tokens.

    Raises:
        TokenizerError: a tokenizer that is not fast, or that drops one text of a pair.
        FeatureError: a window that has no room for a context token beside the longest question.

    """
    return features_of_table(examples.with_format("arrow")[:], Encoder.of(tokenizer), config)


def features_of_table(table: pa.Table, encoder: Encoder, config: FeaturesConfig) -> Features:
    """Do what `build_features` does, for an Arrow table with the same columns and a tokenizer that is ready."""
    contexts = table["context"].combine_chunks().dictionary_encode()
    context_of = contexts.indices.to_numpy(zero_copy_only=False)
    return _features(_cut(table["question"]), _cut(contexts.dictionary), context_of, encoder, config)


def features_of_texts(
    questions: Sequence[str], contexts: Sequence[str], encoder: Encoder, config: FeaturesConfig
) -> Features:
    """Do the same for texts in memory: for a single question a table takes longer than its tokens."""
    rows: dict[str, int] = {}
    context_of = np.array([rows.setdefault(text, len(rows)) for text in contexts], dtype=np.int32)
    return _features(_cut(questions), _cut(list(rows)), context_of, encoder, config)


def _features(
    questions: Iterable[Sequence[str]],
    contexts: Iterable[Sequence[str]],
    context_of: Int[np.ndarray, "example"],
    encoder: Encoder,
    config: FeaturesConfig,
) -> Features:
    """Cut windows; questions and distinct contexts come some at a time."""
    backend, template = encoder.backend, encoder.template
    check_room(template, config)
    question_ids = question_tokens(backend, questions, config.max_question_length)
    context_ids, token_start, token_end = context_tokens(backend, contexts)

    room = config.max_length - template.special_tokens - question_ids.lengths
    example, first, size = lay_windows(context_ids.lengths[context_of], room, config.doc_stride)
    return Features(
        template=template,
        question_ids=question_ids,
        context_of=context_of.astype(np.int32),
        context_ids=context_ids,
        token_start=token_start,
        token_end=token_end,
        example=example,
        first=first,
        size=size,
        padded_to=padded_length(template, config),
    )


def padded_length(template: PairTemplate, config: FeaturesConfig) -> int | None:
    """Return `Features.padded_to`."""
    sees_padding = template.steady_up_to is not None and config.max_length > template.steady_up_to
    return config.max_length if sees_padding else None


def check_room(template: PairTemplate, config: FeaturesConfig) -> None:
    """Check that every window has room for context.

    Raises:
        FeatureError: there is none beside the longest question.

    """
    room = config.max_length - template.special_tokens - config.max_question_length
    if room < 1:
        raise FeatureError(
            f"features.max-length {config.max_length} leaves {room} tokens for the context beside a question of "
            f"{config.max_question_length} and {template.special_tokens} special tokens; wanted at least 1"
        )


def _cut(texts: Sequence[str] | pa.Array | pa.ChunkedArray) -> Iterator[Sequence[str]]:
    for begin in range(0, len(texts), ENCODE_AT_ONCE):
        part = texts[begin : begin + ENCODE_AT_ONCE]
        yield part if isinstance(part, Sequence) else part.to_pylist()


def question_tokens(backend: Tokenizer, questions: Iterable[Sequence[str]], longest: int) -> Ragged:
    """Tokenise questions, of which at most the `longest` first tokens are kept."""
    batches = (backend.encode_batch(texts, add_special_tokens=False) for texts in questions)
    return Ragged.of([encoding.ids[:longest] for batch in batches for encoding in batch])


def context_tokens(
    backend: Tokenizer, contexts: Iterable[Sequence[str]]
) -> tuple[Ragged, Int[np.ndarray, "token"], Int[np.ndarray, "token"]]:
    """Tokenise contexts; return their tokens, and where the characters of each begin and end."""
    ids, starts, ends = [], [np.empty(0, dtype=np.int32)], [np.empty(0, dtype=np.int32)]
    for texts in _bounded(contexts):
        batch = backend.encode_batch(texts, add_special_tokens=False)
        ids.append(Ragged.of([encoding.ids for encoding in batch]))
        flat = itertools.chain.from_iterable(itertools.chain.from_iterable(encoding.offsets for encoding in batch))
        pairs = np.fromiter(flat, dtype=np.int32, count=2 * len(ids[-1].values)).reshape(-1, 2)
        offsets = cover_texts(texts, TokenOffsets(start=pairs[:, 0], end=pairs[:, 1], bounds=ids[-1].bounds))
        starts.append(offsets.start)
        ends.append(offsets.end)
    return _joined(ids), np.concatenate(starts), np.concatenate(ends)


def _bounded(parts: Iterable[Sequence[str]]) -> Iterator[Sequence[str]]:
    """Cut parts that have more characters than are tokenised at once."""
    for texts in parts:
        begin = characters = 0
        for at, text in enumerate(texts):
            characters += len(text)
            if characters > CHARACTERS_AT_ONCE and at > begin:
                yield texts[begin:at]
                begin, characters = at, len(text)
        yield texts[begin:]


def _joined(parts: Sequence[Ragged]) -> Ragged:
    lengths = np.concatenate([np.zeros(1, dtype=np.int64), *(part.lengths for part in parts)])
    values = np.concatenate([np.empty(0, dtype=np.int32), *(part.values for part in parts)])
    return Ragged(values, np.cumsum(lengths))


def lay_windows(
    context_lengths: Int[np.ndarray, "example"], room: Int[np.ndarray, "example"], doc_stride: int
) -> tuple[Int[np.ndarray, "feature"], Int[np.ndarray, "feature"], Int[np.ndarray, "feature"]]:
    """Lay windows of at most `room` tokens, that share `doc_stride`, over every context; an empty context has one.

    A stride that leaves no step (a long question in a short window) is cut to half of the room.
    """
    step = room - np.where(doc_stride < room, doc_stride, room // 2)
    beyond_first = np.maximum(context_lengths - room, 0)
    windows = 1 + -(-beyond_first // step)
    example = np.repeat(np.arange(len(windows)), windows)
    ordinal = np.arange(len(example)) - np.repeat(np.cumsum(windows) - windows, windows)
    first = ordinal * step[example]
    size = np.minimum(room[example], context_lengths[example] - first)
    return example.astype(np.int32), first.astype(np.int32), size.astype(np.int32)
