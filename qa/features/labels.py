"""References -> label spans of windows: the context tokens that hold a reference, where a window has all of them."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset
from jaxtyping import Int

from qa.features.windows import Features

NO_LABEL = -1
"""Label of a window that does not hold the whole reference: the null position stands for it."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Labels:
    """The span of the reference in every feature, closed, in context tokens of its window; `NO_LABEL` if outside."""

    first: Int[np.ndarray, "feature"]
    last: Int[np.ndarray, "feature"]

    def __len__(self) -> int:
        return len(self.first)


def build_labels(examples: Dataset, features: Features) -> Labels:
    """Label every feature with the first reference of its example.

    Args:
        examples: those that the features were built from; without the column `answers` nothing is labelled.
        features: their windows.

    """
    table = examples.with_format("arrow")[:]
    bounds = features.context_ids.bounds
    tokens = reference_tokens(table, features.context_of, bounds, features.token_start, features.token_end)
    reference_first, reference_last = (column[features.example] for column in tokens)
    return window_labels(reference_first, reference_last, features.first, features.size)


def reference_spans(table: pa.Table) -> tuple[Int[np.ndarray, "example"], Int[np.ndarray, "example"]]:
    """Return every example's first reference as a character span; an empty span where there is none."""
    nothing = np.zeros(table.num_rows, dtype=np.int64)
    if "answers" not in table.column_names:
        return nothing, nothing
    answers = table["answers"].combine_chunks()
    texts, starts = answers.field("text"), answers.field("answer_start")
    answerable = pc.greater(pc.list_value_length(texts), 0).to_numpy(zero_copy_only=False)
    kept = pa.array(answerable)
    start, length = nothing.copy(), nothing.copy()
    start[answerable] = pc.list_element(starts.filter(kept), 0).to_numpy(zero_copy_only=False)
    length[answerable] = pc.utf8_length(pc.list_element(texts.filter(kept), 0)).to_numpy(zero_copy_only=False)
    return start, start + length


def reference_tokens(
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
    start, end = reference_spans(table)
    if not len(token_start):
        return np.full(len(start), NO_LABEL), np.full(len(start), NO_LABEL)
    stretch = int(max(token_end.max(), end.max())) + 1
    shift = np.repeat(np.arange(len(bounds) - 1) * stretch, np.diff(bounds))
    begins = np.maximum.accumulate(token_start + shift)
    ends = np.maximum.accumulate(token_end + shift)
    here = context_of.astype(np.int64) * stretch  # all characters together may be more than 32 bits count
    first = np.searchsorted(ends, here + start, side="right") - bounds[context_of]
    last = np.searchsorted(begins, here + end, side="left") - 1 - bounds[context_of]
    found = (start < end) & (first <= last) & (first < np.diff(bounds)[context_of])
    return np.where(found, first, NO_LABEL), np.where(found, last, NO_LABEL)


def window_labels(
    reference_first: Int[np.ndarray, "feature"],
    reference_last: Int[np.ndarray, "feature"],
    first: Int[np.ndarray, "feature"],
    size: Int[np.ndarray, "feature"],
) -> Labels:
    """Label the windows that hold the whole reference, counting from the window's first context token."""
    inside = (reference_first != NO_LABEL) & (reference_first >= first) & (reference_last < first + size)
    label_first = np.where(inside, reference_first - first, NO_LABEL)
    label_last = np.where(inside, reference_last - first, NO_LABEL)
    return Labels(first=label_first.astype(np.int32), last=label_last.astype(np.int32))
