"""The runs of a sweep -> one row a setting: means over seeds with intervals, as a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from qa.experiments.statistics import Estimate, difference_of_means, mean_estimate

_HEAD = ("setting", "runs", "{metric}", "minus the first", "minutes")


@dataclass(frozen=True, kw_only=True)
class SettingResult:
    """What the finished runs of a setting found."""

    name: str
    names: tuple[str, ...]
    """Of all its runs, finished or not."""
    scores: Mapping[int | None, float]
    """By seed."""
    minutes: Mapping[int | None, float]

    @property
    def score(self) -> Estimate:
        """Mean over seeds, with Student's interval."""
        return mean_estimate(list(self.scores.values()))


@dataclass(frozen=True, kw_only=True)
class Row:
    """One setting in the table."""

    name: str
    seeds: tuple[int | None, ...]
    score: Estimate
    difference: Estimate | None
    """From the first setting of the sweep: of pairs of the same seed where the seeds are the same; None: it is it."""
    minutes: Estimate
    single: tuple[float, ...]
    """The scores of the runs."""


def summarised(results: Sequence[SettingResult], *, maximize: bool = True) -> list[Row]:
    """Return a row for each setting with finished runs, the best first."""
    found = [result for result in results if result.scores]
    rows = [
        Row(
            name=result.name,
            seeds=tuple(result.scores),
            score=result.score,
            difference=_difference(found[0], result) if place else None,
            minutes=mean_estimate(list(result.minutes.values())),
            single=tuple(result.scores.values()),
        )
        for place, result in enumerate(found)
    ]
    return sorted(rows, key=lambda row: -row.score.mean if maximize else row.score.mean)


def _difference(first: SettingResult, other: SettingResult) -> Estimate:
    common = [seed for seed in first.scores if seed in other.scores]
    if len(common) == len(first.scores) == len(other.scores):
        pairs = [[result.scores[seed] for seed in common] for result in (first, other)]
        return difference_of_means(*pairs, paired=True)
    return difference_of_means(list(first.scores.values()), list(other.scores.values()), paired=False)


def cells(row: Row) -> tuple[str, ...]:
    """Return the cells of a row of the table."""
    difference = text(row.difference, signed=True) if row.difference is not None else "–"
    return row.name, str(len(row.single)), text(row.score), difference, f"{row.minutes.mean:.1f}"


def head(metric: str) -> tuple[str, ...]:
    """Return the names of the table's columns."""
    return tuple(name.format(metric=metric) for name in _HEAD)


def markdown(rows: Sequence[Row], metric: str) -> str:
    """Return the table as Markdown, with what its numbers are."""
    lines = [head(metric), ("---",) * len(_HEAD), *map(cells, rows)]
    table = "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)
    return (
        f"{table}\n\nMeans over seeds; in brackets 95 % intervals by Student's t, of differences by pairs of a seed.\n"
    )


def text(estimate: Estimate, *, signed: bool = False) -> str:
    """Return a mean with its interval, to two places."""
    form = "+.2f" if signed else ".2f"
    interval = "" if estimate.low is None else f" [{estimate.low:{form}}, {estimate.high:{form}}]"
    return f"{estimate.mean:{form}}{interval}"
