"""References → labels: the context tokens that hold an answer, and the windows that hold all of them."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int

NO_LABEL = -1
"""Label of a window that does not hold the whole answer: the null position stands for it."""


def answer_spans(table: pa.Table) -> tuple[Int[np.ndarray, "example"], Int[np.ndarray, "example"]]:
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


def answer_tokens(
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
    start, end = answer_spans(table)
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
