"""Examples → features: windows of tokens over contexts, with labels and the way back to characters.

A feature is a row of integers: which example, where its window starts in the context's tokens, how long it is and where
the answer lies in it. The tokens themselves are kept once per distinct context and once per question, since data sets
ask several questions about a context and windows overlap; `batching.py` joins the parts when a batch is made.

Token spans are closed and counted in tokens of the window's context; character spans are half-open and counted in code
points. Only this module translates between the two.
"""

import hashlib
import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset
from datasets.config import HF_DATASETS_CACHE
from filelock import FileLock
from jaxtyping import Bool, Int
from pydantic import TypeAdapter
from tokenizers import Encoding, Tokenizer
from transformers import PreTrainedTokenizerBase

from qa.config import FeaturesConfig
from qa.errors import FeatureError, TokenizerError
from qa.files import whole_folder

FORMAT = 1
"""Counts changes of what a cached feature is; part of the cache key."""
NO_LABEL = -1
"""Label of a window that does not hold the whole answer: the null position stands for it."""
_ENCODE_AT_ONCE = 1024  # texts; bounds the memory of encodings, which are far larger than the integers kept


class CharSpan(NamedTuple):
    """Half-open span of a context, in code points."""

    start: int
    end: int


class TokenSpan(NamedTuple):
    """Closed span of a context, in tokens."""

    first: int
    last: int


@dataclass(frozen=True, kw_only=True)
class Layout:
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

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]]) -> Self:
        """Join `rows`."""
        bounds = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum([len(row) for row in rows], out=bounds[1:])
        values = np.fromiter(itertools.chain.from_iterable(rows), dtype=np.int32, count=int(bounds[-1]))
        return cls(values, bounds)


@dataclass(frozen=True, eq=False, kw_only=True)
class Features:
    """All features of a set of examples.

    Per example: `question_ids` and `context_of`, the row of its context. Per distinct context: `context_ids` and the
    characters that each token covers, `token_start` and `token_end` (flat, bounded like `context_ids`). Per feature:
    the example, the window's `first` context token and `size` in tokens, and its label.
    """

    layout: Layout
    question_ids: Ragged
    context_of: Int[np.ndarray, "example"]
    context_ids: Ragged
    token_start: Int[np.ndarray, "token"]
    token_end: Int[np.ndarray, "token"]
    example: Int[np.ndarray, "feature"]
    first: Int[np.ndarray, "feature"]
    size: Int[np.ndarray, "feature"]
    label_first: Int[np.ndarray, "feature"]
    label_last: Int[np.ndarray, "feature"]

    def __len__(self) -> int:
        return len(self.example)

    @property
    def lengths(self) -> Int[np.ndarray, "feature"]:
        """Tokens of every feature, padding aside."""
        return self.lengths_of(np.arange(len(self)))

    def lengths_of(self, indices: Int[np.ndarray, "some"]) -> Int[np.ndarray, "some"]:
        """Tokens of the given features, padding aside."""
        example, bounds = self.example[indices], self.question_ids.bounds
        lengths: Int[np.ndarray, "some"] = bounds[example + 1] - bounds[example] + self.size[indices]
        return lengths + self.layout.special_tokens

    def row(self, index: int) -> tuple[Int[np.ndarray, "token"], Int[np.ndarray, "token"], int]:
        """Return a feature's token ids, their types, and where its context begins among them."""
        layout, example = self.layout, int(self.example[index])
        first = int(self.first[index])
        question = self.question_ids[example]
        context = self.context_ids[int(self.context_of[example])][first : first + int(self.size[index])]
        one, two = (context, question) if layout.context_first else (question, context)
        before, between, after = (np.array(part, np.int32) for part in (layout.before, layout.between, layout.after))
        types = (
            *layout.before_types,
            *[layout.first_type] * len(one),
            *layout.between_types,
            *[layout.second_type] * len(two),
            *layout.after_types,
        )
        context_begin = len(before) + (0 if layout.context_first else len(one) + len(between))
        return np.concatenate([before, one, between, two, after]), np.array(types, np.int32), context_begin

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
    layout: Layout

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> Self:
        """Copy the tokenizer and find out how it joins texts.

        Raises:
            TokenizerError: a tokenizer that is not fast, or that drops one text of a pair.

        """
        return cls(_plain_backend(tokenizer), find_layout(tokenizer))


def build_features(examples: Dataset, tokenizer: PreTrainedTokenizerBase, config: FeaturesConfig) -> Features:
    """Cut examples into windows, label them with the first reference, and keep the characters of every token.

    Args:
        examples: rows with `question` and `context`, and `answers` where there are references.
        tokenizer: a fast tokenizer; its padding side decides whether the context comes first.
        config: lengths and stride, in tokens.

    Raises:
        TokenizerError: a tokenizer that is not fast, or that drops one text of a pair.
        FeatureError: a window that has no room for a context token beside the longest question.

    """
    return features_of_table(examples.with_format("arrow")[:], Encoder.of(tokenizer), config)


def features_of_table(table: pa.Table, encoder: Encoder, config: FeaturesConfig) -> Features:
    """Do what `build_features` does, for an Arrow table with the same columns and a tokenizer that is ready."""
    backend, layout = encoder.backend, encoder.layout
    _check_room(layout, config)
    contexts = table["context"].combine_chunks().dictionary_encode()
    context_of = contexts.indices.to_numpy(zero_copy_only=False)
    question_ids = _question_tokens(backend, table["question"], config.max_question_length)
    context_ids, token_start, token_end = _context_tokens(backend, contexts.dictionary)

    room = config.max_length - layout.special_tokens - question_ids.lengths
    example, first, size = _windows(context_ids.lengths[context_of], room, config.doc_stride)
    answer_first, answer_last = _answer_tokens(table, context_of, context_ids.bounds, token_start, token_end)
    label_first, label_last = _labels(answer_first[example], answer_last[example], first, size)
    return Features(
        layout=layout,
        question_ids=question_ids,
        context_of=context_of.astype(np.int32),
        context_ids=context_ids,
        token_start=token_start,
        token_end=token_end,
        example=example,
        first=first,
        size=size,
        label_first=label_first,
        label_last=label_last,
    )


def find_layout(tokenizer: PreTrainedTokenizerBase) -> Layout:
    """Find out how `tokenizer` joins a question and a context by letting it join two words.

    Raises:
        TokenizerError: a tokenizer that is not fast, or that gives nothing for a plain word.

    """
    pad_left = tokenizer.padding_side == "left"
    joined = _plain_backend(tokenizer).encode("question", "context")
    sequence = joined.sequence_ids
    if 0 not in sequence or 1 not in sequence:
        raise TokenizerError(f"tokenizer {_name(tokenizer)} gives no tokens for a plain word")
    ids, types = joined.ids, joined.type_ids
    a, b = sequence.index(0), len(sequence) - sequence[::-1].index(0)
    c, d = sequence.index(1), len(sequence) - sequence[::-1].index(1)
    return Layout(
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


def _plain_backend(tokenizer: PreTrainedTokenizerBase) -> Tokenizer:
    """Return a copy of the Rust tokenizer without the truncation and padding that its file may switch on."""
    if not tokenizer.is_fast:
        raise TokenizerError(f"tokenizer {_name(tokenizer)} is not fast: it gives no character offsets")
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.no_truncation()
    backend.no_padding()
    return backend


def _name(tokenizer: PreTrainedTokenizerBase) -> str:
    return f"{type(tokenizer).__name__} ({tokenizer.name_or_path or 'unnamed'})"


def _check_room(layout: Layout, config: FeaturesConfig) -> None:
    room = config.max_length - layout.special_tokens - config.max_question_length
    if room < 1:
        raise FeatureError(
            f"features.max-length {config.max_length} leaves {room} tokens for the context beside a question of "
            f"{config.max_question_length} and {layout.special_tokens} special tokens; wanted at least 1"
        )


def _encode(backend: Tokenizer, texts: pa.Array | pa.ChunkedArray) -> Iterator[list[Encoding]]:
    for begin in range(0, len(texts), _ENCODE_AT_ONCE):
        batch = texts.slice(begin, _ENCODE_AT_ONCE).to_pylist()
        yield backend.encode_batch(batch, add_special_tokens=False)


def _question_tokens(backend: Tokenizer, questions: pa.ChunkedArray, longest: int) -> Ragged:
    return Ragged.of([encoding.ids[:longest] for batch in _encode(backend, questions) for encoding in batch])


def _context_tokens(
    backend: Tokenizer, contexts: pa.Array
) -> tuple[Ragged, Int[np.ndarray, "token"], Int[np.ndarray, "token"]]:
    ids, offsets = [], []
    for batch in _encode(backend, contexts):
        ids.append(Ragged.of([encoding.ids for encoding in batch]))
        flat = itertools.chain.from_iterable(itertools.chain.from_iterable(encoding.offsets for encoding in batch))
        offsets.append(np.fromiter(flat, dtype=np.int32, count=2 * len(ids[-1].values)).reshape(-1, 2))
    pairs = np.concatenate([np.empty((0, 2), dtype=np.int32), *offsets])
    return _joined(ids), np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1])


def _joined(parts: Sequence[Ragged]) -> Ragged:
    lengths = np.concatenate([np.zeros(1, dtype=np.int64), *(part.lengths for part in parts)])
    values = np.concatenate([np.empty(0, dtype=np.int32), *(part.values for part in parts)])
    return Ragged(values, np.cumsum(lengths))


def _windows(
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


# --- labels -------------------------------------------------------------------------------------------------------


def _answer_spans(table: pa.Table) -> tuple[Int[np.ndarray, "example"], Int[np.ndarray, "example"]]:
    """Return every example's first reference as a character span; an empty span where there is none."""
    nothing = np.zeros(table.num_rows, dtype=np.int64)
    if "answers" not in table.column_names:
        return nothing, nothing
    answers = table["answers"].combine_chunks()
    texts, starts = answers.field("text"), answers.field("answer_start")
    has_answer = pc.greater(pc.list_value_length(texts), 0).to_numpy(zero_copy_only=False)
    kept = pa.array(has_answer)
    start, length = nothing.copy(), nothing.copy()
    start[has_answer] = pc.list_element(starts.filter(kept), 0).to_numpy(zero_copy_only=False)
    length[has_answer] = pc.utf8_length(pc.list_element(texts.filter(kept), 0)).to_numpy(zero_copy_only=False)
    return start, start + length


def _answer_tokens(
    table: pa.Table,
    context_of: Int[np.ndarray, "example"],
    bounds: Int[np.ndarray, "context_and_one"],
    token_start: Int[np.ndarray, "token"],
    token_end: Int[np.ndarray, "token"],
) -> tuple[Int[np.ndarray, "example"], Int[np.ndarray, "example"]]:
    """Find the context tokens that overlap each example's first reference; `NO_LABEL` where none does.

    All contexts are searched at once: shifting every context's characters past those of the one before it makes the
    token borders one ascending array.
    """
    start, end = _answer_spans(table)
    if not len(token_start):
        return np.full(len(start), NO_LABEL), np.full(len(start), NO_LABEL)
    stretch = int(max(token_end.max(), end.max())) + 1
    shift = np.repeat(np.arange(len(bounds) - 1) * stretch, np.diff(bounds))
    begins = np.maximum.accumulate(token_start + shift)
    ends = np.maximum.accumulate(token_end + shift)
    here = context_of * stretch
    first = np.searchsorted(ends, here + start, side="right") - bounds[context_of]
    last = np.searchsorted(begins, here + end, side="left") - 1 - bounds[context_of]
    found = (start < end) & (first <= last) & (first < np.diff(bounds)[context_of])
    return np.where(found, first, NO_LABEL), np.where(found, last, NO_LABEL)


def _labels(
    answer_first: Int[np.ndarray, "feature"],
    answer_last: Int[np.ndarray, "feature"],
    first: Int[np.ndarray, "feature"],
    size: Int[np.ndarray, "feature"],
) -> tuple[Int[np.ndarray, "feature"], Int[np.ndarray, "feature"]]:
    """Label the windows that hold the whole answer, counting from the window's first context token."""
    inside = (answer_first != NO_LABEL) & (answer_first >= first) & (answer_last < first + size)
    label_first = np.where(inside, answer_first - first, NO_LABEL)
    label_last = np.where(inside, answer_last - first, NO_LABEL)
    return label_first.astype(np.int32), label_last.astype(np.int32)


@dataclass(frozen=True, kw_only=True)
class RoundTrip:
    """How labels translate back to the references they were made from."""

    labelled: int
    """Features with a label."""
    exact: int
    """Labels whose characters are exactly the reference's."""
    wider: int
    """Labels that hold the reference and more, since it ends inside a token."""
    unlabelled_examples: int
    """Answerable examples without any labelled window."""
    exceptions: tuple[tuple[str, str], ...]
    """Reference and decoded text of the labels that are not exact, at most a hundred."""

    @property
    def rate(self) -> float:
        """Share of labels that are exact or, for want of a token border, wider, in percent."""
        return 100.0 * (self.exact + self.wider) / self.labelled if self.labelled else 100.0


def label_round_trip(features: Features, examples: Dataset) -> RoundTrip:
    """Translate every label back to characters and compare it with the reference that it was made from."""
    table = examples.with_format("arrow")[:]
    wanted_start, wanted_end = _answer_spans(table)
    feature = np.flatnonzero(features.label_first != NO_LABEL)
    example = features.example[feature]
    start, end = features.char_spans(feature, features.label_first[feature], features.label_last[feature])
    exact = (start == wanted_start[example]) & (end == wanted_end[example])
    holds = (start <= wanted_start[example]) & (end >= wanted_end[example])
    answerable = wanted_start < wanted_end
    answerable[example] = False
    return RoundTrip(
        labelled=len(feature),
        exact=int(exact.sum()),
        wider=int((holds & ~exact).sum()),
        unlabelled_examples=int(answerable.sum()),
        exceptions=_exceptions(table, example, start, end, exact),
    )


def _exceptions(
    table: pa.Table,
    example: Int[np.ndarray, "label"],
    start: Int[np.ndarray, "label"],
    end: Int[np.ndarray, "label"],
    exact: Bool[np.ndarray, "label"],
) -> tuple[tuple[str, str], ...]:
    rows = [(int(example[at]), int(start[at]), int(end[at])) for at in np.flatnonzero(~exact)[:100]]
    return tuple(
        (table["answers"][row]["text"][0].as_py(), table["context"][row].as_py()[begin:stop])
        for row, begin, stop in rows
    )


# --- Arrow files, cached ------------------------------------------------------------------------------------------

_TABLES = {
    "features": ("example", "first", "size", "label_first", "label_last"),
    "tokens": ("token_start", "token_end"),
    "examples": ("context_of",),
}
_RAGGED = ("question_ids", "context_ids")


def cached_features(
    examples: Dataset, tokenizer: PreTrainedTokenizerBase, config: FeaturesConfig, *, fingerprint: str
) -> Features:
    """Build features once per machine and map them into memory from Arrow files afterwards.

    The cache key covers the tokenizer, the settings and the examples' `fingerprint`. A lock on the key lets one process
    build while the others of the machine wait, without a collective that could time out.
    """
    root = config.cache_dir or Path(HF_DATASETS_CACHE) / "qa-features"
    root.mkdir(parents=True, exist_ok=True)
    folder = root / _cache_key(tokenizer, config, fingerprint)
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            with whole_folder(folder) as part:
                save_features(build_features(examples, tokenizer, config), part)
    return load_features(folder)


def _cache_key(tokenizer: PreTrainedTokenizerBase, config: FeaturesConfig, fingerprint: str) -> str:
    settings = {**asdict(config), "cache_dir": None, "format": FORMAT, "data": fingerprint}
    layout = asdict(find_layout(tokenizer))
    content = json.dumps([settings, layout, tokenizer.backend_tokenizer.to_str()], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def save_features(features: Features, folder: Path) -> None:
    """Write features into `folder` as Arrow IPC files, one a unit of counting, and the layout as JSON."""
    (folder / "layout.json").write_text(json.dumps(asdict(features.layout)), encoding="utf-8")
    columns: dict[str, dict[str, Any]] = {
        file: {name: getattr(features, name) for name in names} for file, names in _TABLES.items()
    }
    for name in _RAGGED:
        ragged = getattr(features, name)
        columns[name] = {name: pa.LargeListArray.from_arrays(ragged.bounds, ragged.values)}
    for file, arrays in columns.items():
        table = pa.table(arrays)
        with pa.OSFile(str(folder / f"{file}.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)


def load_features(folder: Path) -> Features:
    """Map features written by `save_features` into memory; nothing is copied."""
    layout: Layout = TypeAdapter(Layout).validate_json((folder / "layout.json").read_bytes())
    arrays = {
        name: column for file in (*_TABLES, *_RAGGED) for name, column in _mapped(folder / f"{file}.arrow").items()
    }
    flat: dict[str, Any] = {name: arrays[name].to_numpy() for names in _TABLES.values() for name in names}
    ragged: dict[str, Any] = {
        name: Ragged(arrays[name].values.to_numpy(), arrays[name].offsets.to_numpy()) for name in _RAGGED
    }
    return Features(layout=layout, **flat, **ragged)


def _mapped(path: Path) -> dict[str, pa.Array]:
    table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    return {name: table[name].combine_chunks() for name in table.column_names}
