"""Padded rows -> rows of one length, in which features lie end to end.

Shapes are then few, which compiled models want. That features do not see each other is the model's business: see
`qa.modeling.packing`.
"""

import heapq
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Int

from qa.config import TrainingConfig
from qa.features.joining import Rows
from qa.features.pair_template import PairTemplate

_COMPILED_ROW_MULTIPLE = 4  # few shapes, since each is compiled for itself


@dataclass(frozen=True, kw_only=True)
class Packing:
    """The shape of packed rows."""

    length: int
    """Tokens of a row."""
    row_multiple: int = 1
    """The number of rows of a batch is a multiple of this."""

    @classmethod
    def of(cls, config: TrainingConfig) -> "Packing | None":
        """Return what a run asks for; None: features are not packed."""
        if config.packed_length is None:
            return None
        return cls(length=config.packed_length, row_multiple=_COMPILED_ROW_MULTIPLE if config.compile else 1)


def pack(rows: Rows, packing: Packing, template: PairTemplate) -> Rows:
    """Put the features of padded rows into rows of one length.

    The attention mask becomes a number for each feature, from 1 on; 0 is padding. Everything but the inputs stays as it
    is, a row for each feature.

    Args:
        rows: none longer than packed ones, padding aside; with an attention mask.
        packing: the shape of packed rows.
        template: how padding is filled.

    """
    inside = rows.inputs["attention_mask"] == 1
    row, begin = emptiest_fit(inside.sum(axis=1), packing.length)
    count = _rows_of(row, packing)
    place = _places(inside, row * packing.length + begin)
    numbered = rows.inputs | {"attention_mask": np.arange(1, len(inside) + 1)[:, None] * inside}
    filling = {"input_ids": template.pad_id, "token_type_ids": template.pad_type}
    shape = count, packing.length
    inputs = {name: _moved(values, place, shape, filling.get(name, 0)) for name, values in numbered.items()}
    return replace(rows, inputs=inputs, place=place)


def packed_rows(sizes: Int[np.ndarray, "feature"], packing: Packing) -> int:
    """Return the number of rows that features of these sizes, in tokens, have together."""
    return _rows_of(emptiest_fit(sizes, packing.length)[0], packing)


def _rows_of(row: Int[np.ndarray, "feature"], packing: Packing) -> int:
    return -(-(int(row.max()) + 1) // packing.row_multiple) * packing.row_multiple


def emptiest_fit(
    sizes: Int[np.ndarray, "feature"], length: int
) -> tuple[Int[np.ndarray, "feature"], Int[np.ndarray, "feature"]]:
    """Return the row of every feature and where in it the feature begins.

    Features go, from long to short, into the emptiest row if they fit there, and into a new one if not. The first row
    that fits takes longer to find and saves less than one row in a hundred, at SQuAD's lengths. Equal sizes keep their
    order.
    """
    row, begin = np.zeros((2, len(sizes)), dtype=np.int64)
    open_rows: list[tuple[int, int]] = []  # tokens that a row has, and its number
    for feature in np.argsort(-sizes, kind="stable").tolist():
        size = int(sizes[feature])
        used, at = open_rows[0] if open_rows else (length, 0)
        if used + size > length:
            used, at = 0, len(open_rows)
            heapq.heappush(open_rows, (size, at))
        else:
            heapq.heapreplace(open_rows, (used + size, at))
        row[feature], begin[feature] = at, used
    return row, begin


def _places(
    inside: Bool[np.ndarray, "feature token"], begin: Int[np.ndarray, "feature"]
) -> Int[np.ndarray, "feature token"]:
    """Return where every token is among all tokens of the packed rows; below 0 where there is none.

    Not the same number for all of these: adding up the gradient of a token that thousands refer to is slow on a GPU.
    """
    outside = -1 - np.arange(inside.shape[1])
    return np.where(inside, begin[:, None] + np.cumsum(inside, axis=1) - 1, outside)


def _moved(
    values: Int[np.ndarray, "feature token"],
    place: Int[np.ndarray, "feature token"],
    shape: tuple[int, int],
    filling: int,
) -> Int[np.ndarray, "row column"]:
    packed = np.full(shape, filling, dtype=np.int64)
    inside = place >= 0
    packed.reshape(-1)[place[inside]] = values[inside]
    return packed
