"""What teachers say of features: logits of their own tokens -> probabilities of a feature's tokens.

A teacher reads the same characters of a context as the feature has (`alignment.py`). Its tokens may be others: a start
goes to the token where the teacher's token begins, an end to the one where it ends.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float32, Int

from qa.features.windows import NO_TOKEN, Features


@dataclass(frozen=True, eq=False, kw_only=True)
class TeacherLogits:
    """One teacher's logits of every feature.

    Those of the context tokens of feature `i` are rows `bounds[i]:bounds[i + 1]` of `start` and `end`. They begin at
    the teacher's token `origin[i]` of all contexts end to end, of which `start_at` and `end_at` tell the token of the
    feature's tokenizer, counted from the begin of its context; `NO_TOKEN` where there is none.
    """

    start: Float32[np.ndarray, "logit"]
    end: Float32[np.ndarray, "logit"]
    null_start: Float32[np.ndarray, "feature"]
    null_end: Float32[np.ndarray, "feature"]
    bounds: Int[np.ndarray, "feature_and_one"]
    origin: Int[np.ndarray, "feature"]
    start_at: Int[np.ndarray, "token"]
    end_at: Int[np.ndarray, "token"]


@dataclass(frozen=True, eq=False, kw_only=True)
class SoftLabels:
    """What teachers say of features: the mean of their probabilities at a temperature."""

    teachers: Sequence[TeacherLogits]
    rows: Int[np.ndarray, "feature"]
    """Of each feature its row in the teachers' logits."""
    temperature: float
    """What logits are divided by."""
    fingerprint: str
    """Hash of the teachers' weights, settings and tokenizers."""

    def of_features(self, rows: Int[np.ndarray, "some"]) -> "SoftLabels":
        """Return those of some features."""
        return replace(self, rows=self.rows[rows])

    def probabilities(
        self,
        features: Features,
        indices: Int[np.ndarray, "feature"],
        *,
        context_begin: Int[np.ndarray, "feature"],
        null_position: Int[np.ndarray, "feature"],
        width: int,
    ) -> tuple[Float32[np.ndarray, "feature column"], Float32[np.ndarray, "feature column"]]:
        """Return start and end probabilities of padded rows; other columns than context and null position have none.

        Args:
            features: all; windows that were cut since the teachers read them take what is left.
            indices: which of them.
            context_begin: column of the first context token of each row.
            null_position: column of the null position of each row.
            width: columns.

        """
        rows, places = self.rows[indices], (context_begin, null_position, width)
        start, end = np.zeros((2, len(indices), width))
        for teacher in self.teachers:
            start += self._one_side(
                features, indices, teacher, (teacher.start, teacher.null_start[rows], teacher.start_at), places
            )
            end += self._one_side(
                features, indices, teacher, (teacher.end, teacher.null_end[rows], teacher.end_at), places
            )
        count = len(self.teachers)
        return (start / count).astype(np.float32), (end / count).astype(np.float32)

    def _one_side(
        self,
        features: Features,
        indices: Int[np.ndarray, "feature"],
        teacher: TeacherLogits,
        said: tuple[np.ndarray, np.ndarray, np.ndarray],
        places: tuple[np.ndarray, np.ndarray, int],
    ) -> Float[np.ndarray, "feature column"]:
        """Return a teacher's probabilities from `said`: logits, null logits of the rows, and tokens of its tokens."""
        (logits, nulls, token_at), (context_begin, null_position, width) = said, places
        row, logit, token = _window(teacher, self.rows[indices])
        at = token_at[token] - features.first[indices][row]
        inside = (token_at[token] != NO_TOKEN) & (at >= 0) & (at < features.size[indices][row])
        row, at = row[inside], at[inside]
        shares, null_shares = _softmax(logits[logit[inside]], row, nulls, self.temperature)
        flat = np.bincount(row * width + context_begin[row] + at, shares, minlength=len(indices) * width)
        flat[np.arange(len(indices)) * width + null_position] += null_shares
        return flat.reshape(len(indices), width)


def _window(
    teacher: TeacherLogits, rows: Int[np.ndarray, "row"]
) -> tuple[Int[np.ndarray, "logit"], Int[np.ndarray, "logit"], Int[np.ndarray, "logit"]]:
    """Return, of every logit of the given rows, which row it is of, where it stands, and its token."""
    begin = teacher.bounds[rows]
    sizes = teacher.bounds[rows + 1] - begin
    row = np.repeat(np.arange(len(rows)), sizes)
    nth = np.arange(len(row)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return row, begin[row] + nth, teacher.origin[rows][row] + nth


def _softmax(
    logits: Float32[np.ndarray, "logit"],
    row: Int[np.ndarray, "logit"],
    null: Float32[np.ndarray, "row"],
    temperature: float,
) -> tuple[Float[np.ndarray, "logit"], Float[np.ndarray, "row"]]:
    """Return the probabilities of the logits of every row, and of its null logit."""
    values, nulls = logits.astype(np.float64) / temperature, null.astype(np.float64) / temperature
    highest = nulls.copy()
    np.maximum.at(highest, row, values)
    powers, null_powers = np.exp(values - highest[row]), np.exp(nulls - highest)
    sums = null_powers + np.bincount(row, powers, minlength=len(null))
    return powers / sums[row], null_powers / sums
