"""Runs on the same examples -> how much they differ, how sure that is, and where."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64

from qa.config import RunConfig
from qa.data import Examples, load_validation_examples
from qa.errors import ComparisonError
from qa.evaluation.slices import slices
from qa.experiments.finished import FinishedRun, System
from qa.experiments.statistics import (
    CONFIDENCE,
    Estimate,
    McNemar,
    difference_of_means,
    mcnemar,
    mean_estimate,
    paired_difference,
)
from qa.metrics import raw_scores
from qa.metrics.squad import MetricName
from qa.run_folder.curves import Curve

FEWEST = 20
"""Examples of a slice that a difference is told of."""

Shares = Float64[np.ndarray, "run example"]


@dataclass(frozen=True, kw_only=True)
class SystemScores:
    """The scores of a recipe, in percent, over its seeds."""

    name: str
    folders: tuple[str, ...]
    seeds: tuple[int, ...]
    exact: Estimate
    f1: Estimate
    minutes: float | None
    """Mean over the runs, from start to end."""
    curves: tuple[Curve, ...]
    """F1 of each run's evaluations."""


@dataclass(frozen=True, kw_only=True)
class SliceDifference:
    """What the second has more than the first on some of the examples."""

    name: str
    examples: int
    f1_first: float
    f1_second: float
    f1: Estimate
    """With an interval at the confidence for all slices together (Bonferroni), in points."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What the second has more than the first, in points, with intervals."""

    first: str
    second: str
    exact: Estimate
    """Over examples: BCa bootstrap of the mean over seeds."""
    f1: Estimate
    exact_over_seeds: Estimate
    """Over seeds: Student's interval of pairs where the seeds are the same, else Welch's."""
    f1_over_seeds: Estimate
    same_seeds: bool
    mcnemar: tuple[McNemar, ...]
    """Of exact matches, one for each pair of runs, in their order."""
    slices: tuple[SliceDifference, ...]
    """The largest differences first."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Recipes on the same examples; every other one is compared with the first."""

    examples: int
    left_out: int
    """Examples that only some of the runs answered."""
    systems: tuple[SystemScores, ...]
    differences: tuple[Difference, ...]


def compare_systems(systems: Sequence[System], *, data: str | None = None, split: str | None = None) -> Comparison:
    """Compare recipes on the examples that all their runs answered.

    Args:
        systems: two or more; the first is what the others are compared with.
        data: where the references are; None: where the runs had them.
        split: of that source; None: as the runs say.

    Raises:
        ComparisonError: fewer than two, or examples that are not the same.
        DataError: references that cannot be read.

    """
    runs = [run for system in systems for run in system.runs]
    if len(systems) < 2:
        raise ComparisonError(f"found {len(systems)} run; wanted two or more to compare")
    rows, left_out = _common_rows(runs, data=data, split=split)
    language = runs[0].config.decoding.language
    graded = [_graded(system.runs, rows, language) for system in systems]
    groups = slices(rows, language=language)
    pairs = zip(systems[1:], graded[1:], strict=True)
    return Comparison(
        examples=len(rows),
        left_out=left_out,
        systems=tuple(_scores(system, scores) for system, scores in zip(systems, graded, strict=True)),
        differences=tuple(_difference((systems[0], graded[0]), other, groups) for other in pairs),
    )


# --- examples -----------------------------------------------------------------------------------------------------


def _common_rows(
    runs: Sequence[FinishedRun], *, data: str | None, split: str | None
) -> tuple[list[dict[str, Any]], int]:
    """Return the examples that all runs answered, in the order of the source, and the number of others."""
    sources: dict[RunConfig, Examples] = {}
    for run in runs:
        source = _source(run.config, data, split)
        if source not in sources and (examples := load_validation_examples(source)) is not None:
            sources[source] = examples
    common = set.intersection(*(set(run.answers) for run in runs))
    left_out = len(set.union(*(set(run.answers) for run in runs)) - common)
    first, *others = [_rows_by_id(examples, common) for examples in sources.values()]
    for rows in others:
        _require_same(first, rows)
    if not first:
        raise ComparisonError("the runs have no example in common; wanted the same examples")
    if first.keys() != common:
        missing = sorted(common - first.keys())
        raise ComparisonError(
            f"example {missing[0]!r} is not in {next(iter(sources)).validation_source}; {len(missing)} such ids"
        )
    return list(first.values()), left_out


def _source(config: RunConfig, data: str | None, split: str | None) -> RunConfig:
    """Return what decides which references there are, and nothing else, so that the same are read once."""
    source = data or config.validation_data
    if source is None:
        raise ComparisonError("a run had no validation data; wanted --data with the references of its answers")
    where = replace(config.data, validation_split=split or config.data.validation_split)
    found = RunConfig(validation_data=source, data=where)
    if found.validation_source == source:
        return found
    return replace(found, train_data=config.train_data, seed=config.seed)


def _rows_by_id(examples: Examples, wanted: set[str]) -> dict[str, dict[str, Any]]:
    if not examples.has_references:
        raise ComparisonError("the examples have no references: no column answers; wanted answers to score against")
    return {row["id"]: row for row in examples.rows if row["id"] in wanted}


def _require_same(first: Mapping[str, Mapping[str, Any]], other: Mapping[str, Mapping[str, Any]]) -> None:
    for key in first.keys() & other.keys():
        for column in ("question", "context", "answers"):
            if first[key][column] != other[key][column]:
                raise ComparisonError(f"example {key!r} has another {column} in one run's data than in another's")


# --- scores -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Graded:
    """Scores of every run on every example, 0 to 1."""

    exact: Shares
    f1: Shares


def _graded(runs: Sequence[FinishedRun], rows: Sequence[Mapping[str, Any]], language: str) -> _Graded:
    references = {row["id"]: row["answers"]["text"] for row in rows}
    metric: MetricName = "squad" if all(references.values()) else "squad_v2"
    found = [
        raw_scores({key: run.answers[key] for key in references}, references, metric=metric, language=language)
        for run in runs
    ]
    return _Graded(exact=np.array([one.exact for one in found]), f1=np.array([one.f1 for one in found]))


def _scores(system: System, graded: _Graded) -> SystemScores:
    minutes = [run.minutes for run in system.runs if run.minutes is not None]
    return SystemScores(
        name=system.name,
        folders=tuple(str(run.folder) for run in system.runs),
        seeds=tuple(system.seeds),
        exact=mean_estimate(_percent_by_run(graded.exact)),
        f1=mean_estimate(_percent_by_run(graded.f1)),
        minutes=sum(minutes) / len(minutes) if minutes else None,
        curves=tuple(run.curve("eval/f1") for run in system.runs),
    )


def _difference(
    first: tuple[System, _Graded], second: tuple[System, _Graded], groups: Mapping[str, Bool[np.ndarray, "example"]]
) -> Difference:
    (one, scores), (other, others) = first, second
    one_f1, other_f1 = (100 * values.f1.mean(axis=0) for values in (scores, others))
    same_seeds = len(set(one.seeds)) == len(one.seeds) and one.seeds == other.seeds
    over_seeds = {
        name: difference_of_means(
            _percent_by_run(getattr(scores, name)), _percent_by_run(getattr(others, name)), paired=same_seeds
        )
        for name in ("exact", "f1")
    }
    return Difference(
        first=one.name,
        second=other.name,
        exact=paired_difference(100 * scores.exact.mean(axis=0), 100 * others.exact.mean(axis=0)),
        f1=paired_difference(one_f1, other_f1),
        exact_over_seeds=over_seeds["exact"],
        f1_over_seeds=over_seeds["f1"],
        same_seeds=same_seeds,
        mcnemar=tuple(mcnemar(a == 1, b == 1) for a, b in zip(scores.exact, others.exact, strict=False)),
        slices=_slice_differences(one_f1, other_f1, groups),
    )


def _slice_differences(
    first: Float64[np.ndarray, "example"],
    second: Float64[np.ndarray, "example"],
    groups: Mapping[str, Bool[np.ndarray, "example"]],
) -> tuple[SliceDifference, ...]:
    large = {name: members for name, members in groups.items() if FEWEST <= members.sum() < len(members)}
    confidence = 1 - (1 - CONFIDENCE) / max(len(large), 1)
    found = [
        SliceDifference(
            name=name,
            examples=int(members.sum()),
            f1_first=float(first[members].mean()),
            f1_second=float(second[members].mean()),
            f1=paired_difference(first[members], second[members], confidence=confidence),
        )
        for name, members in large.items()
    ]
    return tuple(sorted(found, key=lambda one: -abs(one.f1.mean)))


def _percent_by_run(shares: Shares) -> list[float]:
    return [float(100 * row.mean()) for row in shares]


def learning_curves(systems: Sequence[SystemScores]) -> list[dict[str, object]]:
    """Return the evaluations of all runs as rows: recipe, seed, step, minutes, F1."""
    return [
        {"recipe": system.name, "seed": seed, "step": step, "minutes": minutes, "f1": value}
        for system in systems
        for seed, one in zip(system.seeds, system.curves, strict=True)
        for step, minutes, value in zip(one.steps, one.minutes or [None] * len(one.steps), one.values, strict=True)
    ]


def report_tables(comparison: Comparison) -> dict[str, tuple[tuple[str, ...], list[list[Any]]]]:
    """Return columns and rows of what a tracker's report shows: recipes, differences, slices and curves."""
    curves = learning_curves(comparison.systems)
    return {
        "recipes": (
            ("recipe", "seeds", "exact", "exact low", "exact high", "f1", "f1 low", "f1 high", "minutes"),
            [[s.name, len(s.seeds), *_numbers(s.exact), *_numbers(s.f1), s.minutes] for s in comparison.systems],
        ),
        "differences": (
            ("first", "second", "exact", "exact low", "exact high", "f1", "f1 low", "f1 high", "largest McNemar p"),
            [
                [d.first, d.second, *_numbers(d.exact), *_numbers(d.f1), max(one.p for one in d.mcnemar)]
                for d in comparison.differences
            ],
        ),
        "slices": (
            ("first", "second", "slice", "examples", "f1 first", "f1 second", "f1", "f1 low", "f1 high"),
            [
                [d.first, d.second, one.name, one.examples, one.f1_first, one.f1_second, *_numbers(one.f1)]
                for d in comparison.differences
                for one in d.slices
            ],
        ),
        "curves": (("recipe", "seed", "step", "minutes", "f1"), [list(row.values()) for row in curves]),
    }


def _numbers(estimate: Estimate) -> tuple[float, float | None, float | None]:
    return estimate.mean, estimate.low, estimate.high
