"""Do labels translate back to their references?"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from datasets import Dataset
from jaxtyping import Bool, Int

from qa.features.labels import NO_LABEL, Labels, reference_spans
from qa.features.windows import Features


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


def label_round_trip(features: Features, labels: Labels, examples: Dataset) -> RoundTrip:
    """Translate every label back to characters and compare it with the reference that it was made from."""
    table = examples.with_format("arrow")[:]
    wanted_start, wanted_end = reference_spans(table)
    feature = np.flatnonzero(labels.first != NO_LABEL)
    example = features.example[feature]
    start, end = features.char_spans(feature, labels.first[feature], labels.last[feature])
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
