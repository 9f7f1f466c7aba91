"""Features -> padded rows of token ids, as arrays."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int, Shaped

from qa.features.labels import Labels
from qa.features.tags import token_tags
from qa.features.windows import Features

PAD_MULTIPLE = 8
"""Padded lengths are multiples of this: what matrix units are fast at."""
INPUTS = ("input_ids", "attention_mask", "token_type_ids", "global_attention_mask")
"""What rows are made of; the last marks the question, which all tokens see in models of local attention."""
NO_LABEL = -1
"""Fills up the labels of features that have fewer than others of their batch."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Rows:
    """Features as padded or packed rows; the fields are those of `qa.features.collation.Batch`."""

    inputs: dict[str, Int[np.ndarray, "row column"]]
    feature: Int[np.ndarray, "feature"]
    in_context: Bool[np.ndarray, "feature token"]
    context_begin: Int[np.ndarray, "feature"]
    null_position: Int[np.ndarray, "feature"]
    tokens: int
    """Tokens that are not padding."""
    place: Int[np.ndarray, "feature token"] | None = None
    label_first: Int[np.ndarray, "feature label"] | None = None
    label_last: Int[np.ndarray, "feature label"] | None = None
    tags: Int[np.ndarray, "feature token"] | None = None
    teacher_start: Float32[np.ndarray, "feature token"] | None = None
    teacher_end: Float32[np.ndarray, "feature token"] | None = None


def join(
    features: Features,
    indices: Int[np.ndarray, "feature"],
    *,
    input_names: Sequence[str],
    pad_multiple: int,
    labels: Labels | None = None,
) -> Rows:
    """Join question, context window and special tokens of `indices` into padded rows.

    Args:
        features: where the tokens are.
        indices: which features.
        input_names: of `INPUTS`, those that the model takes.
        pad_multiple: the padded length is a multiple of this, unless features say what it is.
        labels: of all features, where the batch is to be learned from.

    """
    lengths = features.lengths_of(indices)
    width = features.padded_to or -(-int(lengths.max()) // pad_multiple) * pad_multiple
    begin = width - lengths if features.template.pad_left else np.zeros_like(lengths)
    parts = _Parts.of(features, indices, begin)
    null = np.where(features.template.null_position < 0, parts.end, begin) + features.template.null_position
    shape = len(indices), width
    inputs: dict[str, Callable[[], Int[np.ndarray, "feature token"]]] = {
        "input_ids": partial(_token_ids, features, parts, width),
        "token_type_ids": partial(_token_types, features, parts, width),
        "attention_mask": lambda: _filled(np.zeros(shape, dtype=np.int64), begin, parts.end, 1),
        "global_attention_mask": lambda: _filled(np.zeros(shape, dtype=np.int64), *parts.beside_context(), 1),
    }
    soft = labels.soft if labels is not None else None
    places = {"context_begin": parts.context, "null_position": null}
    start, end = soft.probabilities(features, indices, **places, width=width) if soft is not None else (None, None)
    return Rows(
        inputs={name: inputs[name]() for name in input_names},
        feature=np.asarray(indices, dtype=np.int64),
        in_context=_filled(np.zeros(shape, dtype=np.bool_), parts.context, parts.context + parts.context_size, True),
        context_begin=parts.context,
        null_position=null,
        tokens=int(lengths.sum()),
        **_learned(labels, indices, parts, null, width),
        teacher_start=start,
        teacher_end=end,
    )


def by_feature(values: Any, rows: Any) -> Any:  # noqa: ANN401  # tensors with a Batch, or arrays with Rows
    """Move what a model says of packed rows to the features in them; of rows that are not packed it stays as it is.

    `[row, token × number]` -> `[feature, token × number]`; padding has what is said of some other token.
    """
    if rows.place is None:
        return values
    packed_rows, length = rows.inputs["input_ids"].shape
    every_token = values.reshape(packed_rows * length, -1)
    return every_token[rows.place % len(every_token)].reshape(len(rows.place), -1)


def by_token(values: Any, rows: Any) -> Any:  # noqa: ANN401  # as above
    """Part what a model says of the tokens of a batch: `[feature, token × number]` -> `[feature, token, number]`."""
    return values.reshape(*rows.in_context.shape, -1)


def _learned(
    labels: Labels | None,
    indices: Int[np.ndarray, "feature"],
    parts: "_Parts",
    null: Int[np.ndarray, "feature"],
    width: int,
) -> dict[str, Int[np.ndarray, "feature some"]]:
    """Return what is learned from rows, by field: nothing, spans, or tags."""
    if labels is None:
        return {}
    if labels.tagged:
        return {"tags": token_tags(labels, indices, parts.context, parts.context_size, width)}
    return dict(zip(("label_first", "label_last"), _label_positions(labels, indices, parts.context, null), strict=True))


@dataclass(frozen=True, eq=False, kw_only=True)
class _Parts:
    """Where the parts of every row are: first columns, sizes in tokens, and first tokens in the flat arrays."""

    begin: Int[np.ndarray, "feature"]
    between: Int[np.ndarray, "feature"]
    after: Int[np.ndarray, "feature"]
    end: Int[np.ndarray, "feature"]
    second: Int[np.ndarray, "feature"]
    question: Int[np.ndarray, "feature"]
    question_size: Int[np.ndarray, "feature"]
    question_source: Int[np.ndarray, "feature"]
    context: Int[np.ndarray, "feature"]
    context_size: Int[np.ndarray, "feature"]
    context_source: Int[np.ndarray, "feature"]

    @classmethod
    def of(cls, features: Features, indices: Int[np.ndarray, "feature"], begin: Int[np.ndarray, "feature"]) -> "_Parts":
        template, example = features.template, features.example[indices]
        question_source = features.question_ids.bounds[example]
        question_size = features.question_ids.bounds[example + 1] - question_source
        context_size = features.size[indices].astype(np.int64)
        one, two = (context_size, question_size) if template.context_first else (question_size, context_size)
        first = begin + len(template.before)
        between = first + one
        second = between + len(template.between)
        after = second + two
        return cls(
            begin=begin,
            between=between,
            after=after,
            end=after + len(template.after),
            second=second,
            question=second if template.context_first else first,
            question_size=question_size,
            question_source=question_source,
            context=first if template.context_first else second,
            context_size=context_size,
            context_source=features.context_ids.bounds[features.context_of[example]] + features.first[indices],
        )

    def beside_context(self) -> tuple[Int[np.ndarray, "feature"], Int[np.ndarray, "feature"]]:
        """Return where the question, and the special tokens on its other side, begins and ends."""
        is_first = self.question < self.context
        question_end = self.question + self.question_size
        return np.where(is_first, self.begin, self.question), np.where(is_first, question_end, self.end)


def _token_ids(features: Features, parts: _Parts, width: int) -> Int[np.ndarray, "feature token"]:
    template = features.template
    ids = np.full((len(parts.begin), width), template.pad_id, dtype=np.int64)
    _copy(features.question_ids.values, parts.question_source, parts.question_size, ids, parts.question)
    _copy(features.context_ids.values, parts.context_source, parts.context_size, ids, parts.context)
    _put(template.before, ids, parts.begin)
    _put(template.between, ids, parts.between)
    _put(template.after, ids, parts.after)
    return ids


def _token_types(features: Features, parts: _Parts, width: int) -> Int[np.ndarray, "feature token"]:
    template = features.template
    types = np.full((len(parts.begin), width), template.pad_type, dtype=np.int64)
    for begin, end, own_type in (
        (parts.begin, parts.between, template.first_type),
        (parts.second, parts.after, template.second_type),
    ):
        if own_type != template.pad_type:
            _filled(types, begin, end, own_type)
    _put(template.before_types, types, parts.begin)
    _put(template.between_types, types, parts.between)
    _put(template.after_types, types, parts.after)
    return types


# A row has hundreds of tokens: a loop over the rows costs less than an index of every token.


def _copy(
    values: Int[np.ndarray, "value"],
    source: Int[np.ndarray, "row"],
    sizes: Int[np.ndarray, "row"],
    rows: Int[np.ndarray, "row column"],
    begin: Int[np.ndarray, "row"],
) -> None:
    """Copy `sizes` values from `source` on into every row, from column `begin` on."""
    for row, first, size, column in zip(rows, source.tolist(), sizes.tolist(), begin.tolist(), strict=True):
        row[column : column + size] = values[first : first + size]


def _filled(
    rows: Shaped[np.ndarray, "row column"], begin: Int[np.ndarray, "row"], end: Int[np.ndarray, "row"], value: int
) -> Shaped[np.ndarray, "row column"]:
    """Put a value into every row from column `begin` to before `end`, and return the rows."""
    for row, first, last in zip(rows, begin.tolist(), end.tolist(), strict=True):
        row[first:last] = value
    return rows


def _put(tokens: Sequence[int], rows: Int[np.ndarray, "row column"], begin: Int[np.ndarray, "row"]) -> None:
    """Put the same tokens into every row, from column `begin` on."""
    every = np.arange(len(rows))
    for at, token in enumerate(tokens):
        rows[every, begin + at] = token


def _label_positions(
    labels: Labels,
    indices: Int[np.ndarray, "feature"],
    context_begin: Int[np.ndarray, "feature"],
    null: Int[np.ndarray, "feature"],
) -> tuple[Int[np.ndarray, "feature label"], Int[np.ndarray, "feature label"]]:
    begin = labels.bounds[indices]
    counts = labels.bounds[indices + 1] - begin
    row, nth = np.nonzero(np.arange(max(1, int(counts.max()))) < counts[:, None])
    first, last = np.full((2, len(indices), max(1, int(counts.max()))), NO_LABEL, dtype=np.int64)
    for positions, spans in ((first, labels.first), (last, labels.last)):
        positions[row, nth] = context_begin[row] + spans[begin[row] + nth]
        positions[counts == 0, 0] = null[counts == 0]
    return first, last
