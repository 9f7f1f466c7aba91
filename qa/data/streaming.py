"""Examples of a source table by table: memory does not grow with the source.

JSON documents are read whole by their parser; JSON Lines, CSV, Parquet and data sets of the hub are not.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import pyarrow as pa

from qa.config import DataConfig
from qa.data.examples import require_good
from qa.data.problems import DataProblem
from qa.data.references import Purpose
from qa.data.sieve import Facts, Sieve
from qa.data.sources import read_rows
from qa.errors import DataError

_KEPT_PROBLEMS = 1_000  # more than a message shows

Reporter = Callable[[Sequence[DataProblem]], None]
"""Takes problems in the order of rows, some at a time."""


def _forget(_: Sequence[DataProblem]) -> None:
    pass


@dataclass
class ExampleStream:
    """The examples that `load_examples` would load, to be read as often as wanted."""

    source: str
    split: str
    config: DataConfig
    purpose: Purpose = "spans"
    maximum: int | None = None
    """Examples taken, spread evenly over the set; None: all."""
    notes: list[str] = field(default_factory=list)
    """What a user should know of the source; complete after a reading."""

    @cached_property
    def facts(self) -> Facts:
        """What only the whole source tells; rows are read until it is told, most often by the first."""
        sieve = self._sieve()
        for _ in sieve.tables(self._rows()):
            if sieve.facts == Facts(has_references=True, has_ids=True):
                break
        return sieve.facts

    @cached_property
    def total(self) -> int:
        """How many good examples there are.

        Raises:
            ExampleError, DataError: as `tables`.
        """
        return sum(table.num_rows for table in self._all_tables(_forget))

    def tables(self, report: Reporter = _forget) -> Iterator[pa.Table]:
        """Yield the examples, with the columns of `Examples`.

        Raises:
            ExampleError: at the end: a bad row, where these stop the run; or no row that is good.
            DataError: a source that can't be read, or has no rows or not the needed columns.
        """
        if self.maximum is None or self.maximum >= self.total:
            yield from self._all_tables(report)
            return
        begin = taken = 0
        for table in self._all_tables(report):
            indices = []
            while taken < self.maximum and (at := taken * self.total // self.maximum) < begin + table.num_rows:
                indices.append(at - begin)
                taken += 1
            begin += table.num_rows
            yield table.take(pa.array(indices, pa.int64()))

    def _all_tables(self, report: Reporter) -> Iterator[pa.Table]:
        sieve, first, left = self._sieve(), list[DataProblem](), 0
        for unsettled in sieve.tables(self._rows()):
            table = sieve.settled(unsettled, self.facts)
            problems = sorted(sieve.problems, key=lambda problem: problem.row)
            sieve.problems.clear()
            report(problems)
            first += problems[: _KEPT_PROBLEMS - len(first)]
            left += table.num_rows
            yield table
        if not sieve.row:
            raise DataError(f"{self.source}: no rows; wanted at least one example")
        self.notes[:] = sieve.notes
        require_good(first, self.source, self.config.on_bad_example, left=left, notes=sieve.notes)

    def _sieve(self) -> Sieve:
        return Sieve(self.source, self.config.on_bad_example, self.purpose)

    def _rows(self) -> Iterator[object]:
        return read_rows(self.source, split=self.split, config=self.config)
