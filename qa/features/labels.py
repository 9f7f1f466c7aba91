"""References -> label spans of windows: the context tokens that hold a reference, where a window has all of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int

from qa.features.soft_labels import SoftLabels
from qa.features.windows import NO_TOKEN, Features, Rows

EXAMPLES_AT_ONCE = 4096
_COLUMNS = ("first", "last", "reference")


@dataclass(frozen=True, eq=False, kw_only=True)
class Labels:
    """Spans of references in features, closed, in context tokens of the window.

    Those of feature `i` are rows `bounds[i]:bounds[i + 1]`: none where the window holds no reference, for which the
    null position stands, and more than one only where all references are learned.

    Where they are `tagged`, each token is learned by itself: labels of an example are disjoint, and one that begins
    before its window, or ends after it, is there as it is, with places outside of the window.
    """

    first: Int[np.ndarray, "label"]
    last: Int[np.ndarray, "label"]
    reference: Int[np.ndarray, "label"]
    """Which of the example's references it is."""
    bounds: Int[np.ndarray, "feature_and_one"]
    tagged: bool = False
    soft: SoftLabels | None = None
    """What teachers say of the features, where there are teachers."""

    def __len__(self) -> int:
        return len(self.bounds) - 1

    @property
    def feature(self) -> Int[np.ndarray, "label"]:
        """The feature of every label."""
        return np.repeat(np.arange(len(self)), np.diff(self.bounds))

    @property
    def is_labelled(self) -> Bool[np.ndarray, "feature"]:
        """Which features have a label."""
        return np.diff(self.bounds) > 0

    def part(self, begin: int, end: int) -> "Labels":
        """Return the labels of the features from `begin` to before `end`, without what teachers say."""
        bounds = self.bounds[begin : end + 1]
        own = slice(int(bounds[0]), int(bounds[-1]))
        columns = {name: getattr(self, name)[own] for name in _COLUMNS}
        return replace(self, **columns, bounds=bounds - bounds[0], soft=None)

    @classmethod
    def joined(cls, parts: Sequence["Labels"]) -> "Labels":
        """Return the labels of the features of one part after the other."""
        columns: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS}
        counts = np.concatenate([np.diff(part.bounds) for part in parts])
        return cls(**columns, bounds=_bounds(counts), tagged=parts[0].tagged)

    def chosen(self, label: Bool[np.ndarray, "label"]) -> "Labels":
        """Return some of the labels, of the same features."""
        counts = np.bincount(self.feature[label], minlength=len(self))
        columns = {name: getattr(self, name)[label] for name in _COLUMNS}
        return replace(self, **columns, bounds=_bounds(counts))

    def of_features(self, rows: Int[np.ndarray, "some"]) -> "Labels":
        """Return the labels of some features, in ascending order."""
        kept = np.zeros(len(self), dtype=bool)
        kept[rows] = True
        soft = self.soft.of_features(rows) if self.soft is not None else None
        return replace(self.chosen(kept[self.feature]), bounds=_bounds(np.diff(self.bounds)[rows]), soft=soft)

    def cut(self, shift: Int[np.ndarray, "feature"], size: Int[np.ndarray, "feature"]) -> "Labels":
        """Return the labels that lie in smaller windows, which begin `shift` tokens later: whole, if not `tagged`."""
        first, last = (column - shift[self.feature].astype(np.int32) for column in (self.first, self.last))
        begin, end = (last, first) if self.tagged else (first, last)
        return replace(self, first=first, last=last).chosen((begin >= 0) & (end < size[self.feature]))


class References(NamedTuple):
    """The references of all examples, as character spans; those of example `i` are rows `bounds[i]:bounds[i + 1]`."""

    start: Int[np.ndarray, "reference"]
    """Negative where the place is not known."""
    end: Int[np.ndarray, "reference"]
    bounds: Int[np.ndarray, "example_and_one"]

    @property
    def example(self) -> Int[np.ndarray, "reference"]:
        """The example of every reference."""
        return np.repeat(np.arange(len(self.bounds) - 1), np.diff(self.bounds))

    @property
    def has_place(self) -> Bool[np.ndarray, "reference"]:
        """Return which references are a part of their context that is known."""
        return (self.start >= 0) & (self.start < self.end)


def references_of(table: pa.Table) -> References:
    """Return the references of examples; none without the column `answers`."""
    if "answers" not in table.column_names:
        nothing = np.empty(0, dtype=np.int64)
        return References(nothing, nothing, np.zeros(table.num_rows + 1, dtype=np.int64))
    answers = table["answers"].combine_chunks()
    texts, starts = answers.field("text"), answers.field("answer_start")
    counts = pc.fill_null(pc.list_value_length(texts), 0).to_numpy(zero_copy_only=False)
    length = pc.utf8_length(pc.list_flatten(texts)).to_numpy(zero_copy_only=False)
    start = pc.fill_null(pc.list_flatten(starts), -1).to_numpy(zero_copy_only=False).astype(np.int64)
    return References(start, start + length, _bounds(counts))


def build_labels(examples: Rows, features: Features, *, every: bool = False, tagged: bool = False) -> Labels:
    """Label every feature with the first reference of its example that lies in the window.

    Args:
        examples: those that the features were built from; without the column `answers` nothing is labelled.
        features: their windows.
        every: label it with all references that lie in the window, each span once.
        tagged: label the tokens of references one by one, also of those of which a window holds a part; of `every`
            reference, those that overlap one before them aside, or of the first.

    """
    parts = [
        _labels_of_part(table, part, every=every, tagged=tagged) for table, part, _ in parts_of(examples, features)
    ]
    return Labels.joined(parts)


def parts_of(examples: Rows, features: Features) -> Iterator[tuple[pa.Table, Features, slice]]:
    """Yield examples and their features, some at a time, and which of all features these are: memory does not grow."""
    rows, count = examples.with_format("arrow"), len(features.question_ids)
    for begin in range(0, max(count, 1), EXAMPLES_AT_ONCE):
        end = min(begin + EXAMPLES_AT_ONCE, count)
        place = slice(*np.searchsorted(features.example, [begin, end]).tolist())
        yield rows[begin:end], features.of_examples(begin, end), place


def _labels_of_part(table: pa.Table, features: Features, *, every: bool, tagged: bool) -> Labels:
    references = references_of(table)
    first, last = reference_tokens(references, features)
    known = np.flatnonzero(first != NO_TOKEN)
    if tagged:
        known = _disjoint(known, references.example, first, last, every=every)
    reference, feature = _windows_of(known, references.example, features)
    begin = features.first[feature]
    spans = first[reference] - begin, last[reference] - begin
    one, other = spans[::-1] if tagged else spans
    inside = (one >= 0) & (other < features.size[feature])
    reference, feature, spans = reference[inside], feature[inside], (spans[0][inside], spans[1][inside])
    kept = _first_of_each(feature, *spans) if every or tagged else _first_of_each(feature)
    return Labels(
        first=spans[0][kept].astype(np.int32),
        last=spans[1][kept].astype(np.int32),
        reference=(reference - references.bounds[references.example[reference]])[kept].astype(np.int32),
        bounds=_bounds(np.bincount(feature[kept], minlength=len(features))),
        tagged=tagged,
    )


def _disjoint(
    known: Int[np.ndarray, "some"],
    example: Int[np.ndarray, "reference"],
    first: Int[np.ndarray, "reference"],
    last: Int[np.ndarray, "reference"],
    *,
    every: bool,
) -> Int[np.ndarray, "kept"]:
    """Return the first reference of each example; or all that share no token with one that begins before them.

    Of references that begin together the longest stays.
    """
    if not every:
        first_ones: Int[np.ndarray, "kept"] = known[_first_of_each(example[known])]
        return first_ones
    kept, end = [], (-1, -1)  # example and last token of the reference before
    for row in known[np.lexsort((-last[known], first[known], example[known]))].tolist():
        if (example[row], first[row]) > end:
            kept.append(row)
            end = (int(example[row]), int(last[row]))
    return np.array(sorted(kept), dtype=np.int64)


def reference_tokens(
    references: References, features: Features
) -> tuple[Int[np.ndarray, "reference"], Int[np.ndarray, "reference"]]:
    """Find the context tokens that overlap each reference; `NO_TOKEN` where none does."""
    context = features.context_of[references.example]
    first, last = tokens_of_spans(references.start, references.end, context, features)
    found = references.has_place & (first != NO_TOKEN)
    return np.where(found, first, NO_TOKEN), np.where(found, last, NO_TOKEN)


def tokens_of_spans(
    start: Int[np.ndarray, "span"],
    end: Int[np.ndarray, "span"],
    context: Int[np.ndarray, "span"],
    features: Features,
) -> tuple[Int[np.ndarray, "span"], Int[np.ndarray, "span"]]:
    """Find the tokens of contexts that overlap character spans; `NO_TOKEN` where none does.

    All contexts are searched at once: shifting every context's characters past those of the one before it makes the
    token borders one ascending array.
    """
    bounds = features.context_ids.bounds
    if not len(features.token_start):
        return np.full(len(start), NO_TOKEN), np.full(len(start), NO_TOKEN)
    stretch = int(max(features.token_end.max(), end.max(initial=0))) + 1
    shift = np.repeat(np.arange(len(bounds) - 1) * stretch, np.diff(bounds))
    context = context.astype(np.int64)
    here = context * stretch  # all characters together may be more than 32 bits count
    first = np.searchsorted(features.token_end + shift, here + start, side="right") - bounds[context]
    last = np.searchsorted(features.token_start + shift, here + end, side="left") - 1 - bounds[context]
    found = (first <= last) & (first < np.diff(bounds)[context])
    return np.where(found, first, NO_TOKEN), np.where(found, last, NO_TOKEN)


def _windows_of(
    references: Int[np.ndarray, "some"], example: Int[np.ndarray, "reference"], features: Features
) -> tuple[Int[np.ndarray, "pair"], Int[np.ndarray, "pair"]]:
    """Pair the given references with every window of their example; pairs are in the order of windows."""
    begin, end = (np.searchsorted(features.example, example[references], side=side) for side in ("left", "right"))
    windows = end - begin
    nth = np.arange(int(windows.sum())) - np.repeat(np.cumsum(windows) - windows, windows)
    feature = np.repeat(begin, windows) + nth
    order = np.argsort(feature, kind="stable")
    return np.repeat(references, windows)[order], feature[order]


def _first_of_each(*columns: Int[np.ndarray, "row"]) -> Int[np.ndarray, "kept"]:
    """Return, in order, the first of the rows that are alike."""
    order = np.lexsort(columns[::-1])  # stable
    sorted_rows = np.stack([column[order] for column in columns])
    new = np.ones(len(order), dtype=bool)
    new[1:] = (sorted_rows[:, 1:] != sorted_rows[:, :-1]).any(axis=0)
    return np.sort(order[new])


def _bounds(counts: Int[np.ndarray, "row"]) -> Int[np.ndarray, "row_and_one"]:
    return np.concatenate([[0], np.cumsum(counts)])
