"""Examples -> parts, so that no context is in two of them.

A group is what must stay together: the examples of a context or, by title, of all contexts of an article, and of the
articles that share one of these. Groups are few beside examples, so that a set larger than memory can be split.
"""

import hashlib
import random
import unicodedata
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import datasets
import numpy as np

from qa.data.examples import answer_counts
from qa.data.sieve import ROWS_AT_ONCE
from qa.errors import DataError

By = Literal["context", "title"]
_DIGEST = 12  # bytes of a hash that stands for a context


@dataclass
class Groups:
    """The groups of the examples that were seen, with their numbers of answerable and impossible examples."""

    by: By
    sizes: dict[bytes, list[int]] = field(default_factory=dict)
    """By context."""
    parents: dict[Hashable, Hashable] = field(default_factory=dict)
    """Titles and contexts as a forest, whose trees are groups; empty by context."""

    def add(self, title: str, context: str, *, answerable: bool) -> None:
        """Take an example in."""
        key = context_key(context)
        self.sizes.setdefault(key, [0, 0])[0 if answerable else 1] += 1
        if self.by == "title" and title:
            self.parents[self._root(key)] = self._root(title)

    def group_of(self, context: str) -> Hashable:
        """Return the group that a context belongs to."""
        return self._root(context_key(context))

    def totals(self) -> dict[Hashable, tuple[int, int]]:
        """Return answerable and impossible examples by group, in the order in which groups came."""
        found: dict[Hashable, tuple[int, int]] = {}
        for key, (answerable, impossible) in self.sizes.items():
            group = self._root(key)
            before = found.get(group, (0, 0))
            found[group] = (before[0] + answerable, before[1] + impossible)
        return found

    def _root(self, node: Hashable) -> Hashable:
        path = []
        while node in self.parents and self.parents[node] != node:
            path.append(node)
            node = self.parents[node]
        self.parents.update(dict.fromkeys(path, node))  # shortens the way for the next
        return node


def context_key(context: str) -> bytes:
    """Return what contexts have in common that differ in white space, case and Unicode normal form only."""
    plain = " ".join(unicodedata.normalize("NFKC", context).casefold().split())
    return hashlib.sha256(plain.encode()).digest()[:_DIGEST]


def assign(totals: Mapping[Hashable, tuple[int, int]], shares: Sequence[float], *, seed: int) -> dict[Hashable, int]:
    """Choose a part for every group, so that each part has its share of the answerable and the impossible examples.

    Groups come by size, equal ones at random, and each goes where the most is missing of what it holds.

    Raises:
        DataError: fewer groups than parts.
    """
    if len(totals) < len(shares):
        raise DataError(
            f"{len(totals)} contexts or titles do not make {len(shares)} parts; wanted one or more for each"
        )
    order = sorted(totals, key=lambda group: _draw(group, seed))
    order.sort(key=lambda group: -sum(totals[group]))
    kinds = np.maximum(np.sum(list(totals.values()), axis=0, dtype=np.float64), 1.0)
    missing = np.outer(shares, np.ones(len(kinds)))  # of each kind, as a share of all of it
    parts: dict[Hashable, int] = {}
    for group in order:
        sizes = np.array(totals[group]) / kinds
        parts[group] = part = int(np.argmax(missing @ sizes))
        missing[part] -= sizes
    return _none_empty(parts, order, len(shares))


def _none_empty(parts: dict[Hashable, int], order: Sequence[Hashable], count: int) -> dict[Hashable, int]:
    """Move the smallest groups of the fullest parts to those that got none."""
    for empty in sorted(set(range(count)) - set(parts.values())):
        members = [[group for group in order if parts[group] == part] for part in range(count)]
        fullest = max(members, key=len)
        parts[fullest[-1]] = empty
    return parts


def _draw(group: Hashable, seed: int) -> float:
    """Return a number that only group and seed decide, whatever else is in the set."""
    return random.Random(f"{seed} {group!r}").random()


def held_out(rows: datasets.Dataset, share: float, *, seed: int) -> list[int]:
    """Return the rows of a share of the contexts, with as many impossible examples as the rest.

    Raises:
        DataError: one context.
    """
    groups = Groups("context")
    for context, references in zip(_contexts(rows), answer_counts(rows), strict=True):
        groups.add("", context, answerable=references > 0)
    parts = assign(groups.totals(), (1.0 - share, share), seed=seed)
    return [row for row, context in enumerate(_contexts(rows)) if parts[groups.group_of(context)] == 1]


def _contexts(rows: datasets.Dataset) -> Iterator[str]:
    """Yield all contexts, of which some at a time are in memory."""
    for table in rows.select_columns("context").with_format("arrow").iter(batch_size=ROWS_AT_ONCE):
        yield from table["context"].to_pylist()
