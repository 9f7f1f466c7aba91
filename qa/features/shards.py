"""Examples -> features in files, at constant memory: texts are tokenised in shards, which are joined in the end.

What grows with the data and is in memory is counted in bytes an example: where its context is, and how long its texts
are. Texts and tokens pass through it some at a time.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Int

from qa.config import FeaturesConfig
from qa.features.columns import GrowingColumns, growing_columns, mapped_columns
from qa.features.windows import (
    ENCODE_AT_ONCE,
    Encoder,
    Rows,
    context_tokens,
    lay_windows,
    question_tokens,
)

_SHARD = 16_384  # texts
_DISTINCT, _QUESTION, _CONTEXT = "distinct", "question", "context"
_DIGEST = 16  # bytes of a hash that stands for a context: no two of all that there are have the same


@dataclass(frozen=True, eq=False)
class FeatureShards:
    """What is to be written for the features of some examples, and how it becomes their columns.

    `phases` and `join` are for `qa.data.store.stored_in_shards`. The columns are those of `Features`, where
    `question_ids` and `context_ids` have their bounds beside them.
    """

    rows: Rows
    encoder: Encoder
    config: FeaturesConfig
    size: int = _SHARD
    """Texts of a shard."""

    def phases(self, shards: Path) -> Iterator[Mapping[str, Callable[[Path], None]]]:
        """Yield what finds the distinct contexts; then what tokenises questions and contexts, by name of the shard."""
        yield {_DISTINCT: self._find_contexts}
        distinct = mapped_columns(shards / _DISTINCT)
        yield {
            shard: partial(write, begin=begin)
            for kind, write, texts in (
                (_CONTEXT, self._write_contexts, distinct["row"]),
                (_QUESTION, self._write_questions, distinct["context_of"]),
            )
            for begin, shard in _names(kind, len(texts), self.size)
        }

    def join(self, shards: Path, folder: Path) -> None:
        """Write the columns of all features into `folder`."""
        distinct = mapped_columns(shards / _DISTINCT)
        context_of = distinct["context_of"]
        with growing_columns(folder) as columns:
            columns.append(context_of=context_of)
            questions, contexts = (
                _join_texts(kind, [shards / name for _, name in _names(kind, count, self.size)], columns)
                for kind, count in ((_QUESTION, len(context_of)), (_CONTEXT, len(distinct["row"])))
            )
            fixed = self.encoder.template.special_tokens
            for begin in range(0, max(len(context_of), 1), self.size):
                here = slice(begin, begin + self.size)
                room = self.config.max_length - fixed - questions[here]
                example, first, size = lay_windows(contexts[context_of[here]], room, self.config.doc_stride)
                columns.append(example=example + np.int32(begin), first=first, size=size)

    # --- shards ---

    def _find_contexts(self, folder: Path) -> None:
        """Write which context each example has, counted as they come, and the first example with each."""
        tables = self.rows.with_format("arrow").iter(batch_size=ENCODE_AT_ONCE)
        nothing = pa.array([], pa.binary(_DIGEST))
        found = pa.concat_arrays([nothing, *(_digests(table["context"]) for table in tables)]).dictionary_encode()
        context_of = found.indices.to_numpy()
        row = np.empty(len(found.dictionary), dtype=np.int64)
        row[context_of[::-1]] = np.arange(len(context_of))[::-1]  # of several values the last stays
        with growing_columns(folder) as columns:
            columns.append(context_of=context_of.astype(np.int32), row=row)

    def _write_questions(self, folder: Path, *, begin: int) -> None:
        rows, longest = self.rows.with_format("arrow"), self.config.max_question_length
        with growing_columns(folder) as columns:
            for at in _pieces(begin, min(begin + self.size, len(rows))):
                found = question_tokens(self.encoder.backend, [rows[at]["question"].to_pylist()], longest)
                columns.append(question_ids=found.values, question_lengths=found.lengths)

    def _write_contexts(self, folder: Path, *, begin: int) -> None:
        rows, row = self.rows.with_format("arrow"), mapped_columns(folder.parent / _DISTINCT)["row"]
        with growing_columns(folder) as columns:
            for at in _pieces(begin, min(begin + self.size, len(row))):
                texts = rows[row[at].tolist()]["context"].to_pylist()
                found, start, end = context_tokens(self.encoder.backend, [texts])
                columns.append(context_ids=found.values, context_lengths=found.lengths)
                columns.append(token_start=start, token_end=end)


def _digests(texts: pa.ChunkedArray) -> pa.Array:
    digests = [hashlib.blake2b(text.encode(), digest_size=_DIGEST).digest() for text in texts.to_pylist()]
    return pa.array(digests, pa.binary(_DIGEST))


def _names(kind: str, texts: int, size: int) -> list[tuple[int, str]]:
    """Return where each shard of so many texts begins, and its name; without texts there is an empty one."""
    return [(begin, f"{kind}-{begin // size}") for begin in range(0, max(texts, 1), size)]


def _pieces(begin: int, end: int) -> list[slice]:
    return [slice(at, min(at + ENCODE_AT_ONCE, end)) for at in range(begin, max(end, begin + 1), ENCODE_AT_ONCE)]


def _join_texts(kind: str, shards: list[Path], columns: GrowingColumns) -> Int[np.ndarray, "text"]:
    """Append the tokens of all shards, and where each text begins among them; return how many tokens each has."""
    columns.append(**{f"{kind}_bounds": np.zeros(1, dtype=np.int64)})
    all_lengths, done = [], 0
    for shard in shards:
        found = mapped_columns(shard)
        lengths = found.pop(f"{kind}_lengths")
        columns.append(**{f"{kind}_bounds": done + np.cumsum(lengths)}, **found)
        all_lengths.append(lengths)
        done += int(lengths.sum())
    return np.concatenate(all_lengths)
