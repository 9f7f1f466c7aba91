"""Do labels translate back to their references?"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Int

from qa.errors import LabelError
from qa.features.graphemes import visible_span
from qa.features.labels import Labels, parts_of, references_of
from qa.features.windows import Features, Rows

_KEPT = 100
_SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class RoundTrip:
    """How labels translate back to the references they were made from, invisible characters at the ends aside."""

    labelled: int
    """Labels of all features."""
    exact: int
    """Labels whose characters are exactly the reference's."""
    wider: int
    """Labels that hold the reference and more, since it begins or ends inside a token."""
    narrower: int
    """Labels that lack characters of the reference."""
    unlabelled_examples: int
    """Examples with a reference, but without any window that holds one."""
    exceptions: tuple[tuple[str, str], ...]
    """Reference and decoded text of the labels that are not exact, at most a hundred, the narrower ones first."""

    @property
    def rate(self) -> float:
        """Share of labels that are exact, in percent."""
        return 100.0 * self.exact / self.labelled if self.labelled else 100.0

    def shown_exceptions(self) -> list[str]:
        """Return a line about each of the first labels that are not exact."""
        return [f"label {decoded!r} for the reference {reference!r}" for reference, decoded in self.exceptions[:_SHOWN]]

    def require(self, least: float) -> None:
        """Check that enough labels are exact to learn from.

        Args:
            least: wanted share, in percent.

        Raises:
            LabelError: it is smaller; with examples.

        """
        if self.rate < least:
            lines = "".join(f"\n  {line}" for line in self.shown_exceptions())
            raise LabelError(
                f"{self.rate:.2f} % of {self.labelled} labels translate back to their reference ({self.wider} are "
                f"wider, {self.narrower} narrower); wanted {least:g} %: a reader cannot answer what its tokenizer does "
                f"not tell apart (features.least-round-trip lowers the bar){lines}"
            )


def label_round_trip(features: Features, labels: Labels, examples: Rows) -> RoundTrip:
    """Translate every label back to characters and compare it with the reference that it was made from."""
    labelled = unlabelled_examples = 0
    counts, first = {"wider": 0, "narrower": 0}, _Inexact([], [])
    for table, part, place in parts_of(examples, features):
        own = labels.part(place.start, place.stop)
        found, unlabelled = _inexact(table, part, own)
        labelled, unlabelled_examples = labelled + len(own.first), unlabelled_examples + unlabelled
        for name, texts in found._asdict().items():
            counts[name] += len(texts)
            kept = getattr(first, name)
            kept += texts[: _KEPT - len(kept)]
    return RoundTrip(
        labelled=labelled,
        exact=labelled - sum(counts.values()),
        **counts,
        unlabelled_examples=unlabelled_examples,
        exceptions=tuple([*first.narrower, *first.wider][:_KEPT]),
    )


class _Inexact(NamedTuple):
    """Reference and decoded text of labels that are wider than their reference, and of those that lack some."""

    wider: list[tuple[str, str]]
    narrower: list[tuple[str, str]]


def _inexact(table: pa.Table, features: Features, labels: Labels) -> tuple[_Inexact, int]:
    """Return the labels of some examples that are not exact, and how many examples have references and no label."""
    references, feature = references_of(table), labels.feature
    example = features.example[feature]
    wanted = references.bounds[example] + labels.reference
    start, end = features.char_spans(feature, labels.first, labels.last)
    differs = np.flatnonzero((start != references.start[wanted]) | (end != references.end[wanted]))
    missed = np.unique(references.example[references.has_place])
    decoded = np.stack([start, end, references.start[wanted], references.end[wanted], example])[:, differs]
    return _compared(table, decoded), len(np.setdiff1d(missed, example))


def _compared(table: pa.Table, spans: Int[np.ndarray, "5 label"]) -> _Inexact:
    """Return the labels whose visible characters differ from their reference's.

    Args:
        table: the examples.
        spans: of every label the decoded start and end, the reference's start and end, and the example.

    """
    inexact = _Inexact([], [])
    for start, end, first, last, row in spans.T.tolist():
        context = table["context"][row].as_py()
        found, wanted = visible_span(context, start, end), visible_span(context, first, last)
        if found != wanted and not _are_empty(found, wanted):
            holds = _are_empty(wanted) or (found[0] <= wanted[0] and found[1] >= wanted[1])
            (inexact.wider if holds else inexact.narrower).append((context[first:last], context[slice(*found)]))
    return inexact


def _are_empty(*spans: tuple[int, int]) -> bool:
    return all(start == end for start, end in spans)
