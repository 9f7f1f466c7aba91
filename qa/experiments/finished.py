"""A run's folder -> its settings, answers and curves; runs that differ in nothing but the seed belong together."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qa.checks import flat_values
from qa.config import RunConfig, config_values
from qa.errors import ComparisonError
from qa.presets import load_config
from qa.run_folder.curves import Curve, curve, read_history
from qa.run_folder.paths import RunPaths

_SEED = "seed"
_NO_RECIPE = {
    *("output_dir", "resume", "push_to_hub", "threads", "timeout_minutes", "features/cache_dir"),
    *("training/save_every", "training/save_minutes", "training/max_minutes", "training/log_every"),
    *("training/keep_last", "training/keep_best", "training/profile"),
}
"""Settings that change where and how a run is recorded, and not what comes of it; besides `tracking`."""
_MOST_NAMED = 4


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """What a run left behind."""

    folder: Path
    config: RunConfig
    answers: dict[str, str]
    """By example id; "" is "no answer"."""
    scores: dict[str, Any]
    history: list[dict[str, Any]]

    @property
    def recipe(self) -> dict[str, Any]:
        """The settings that make the run what it is, the seed aside."""
        values = flat_values(config_values(self.config))
        ignored = _NO_RECIPE | {_SEED}
        return {k: v for k, v in values.items() if k not in ignored and not k.startswith("tracking/")}

    @property
    def minutes(self) -> float | None:
        """From start to end, all attempts together; None where the history does not say."""
        seconds = [line["seconds"] for line in self.history if line.get("seconds") is not None]
        return max(seconds) / 60 if seconds else None

    def curve(self, name: str) -> Curve:
        """Return the course of a reported value, such as `eval/f1`."""
        return curve(self.history, name)


@dataclass(frozen=True, kw_only=True)
class System:
    """A recipe: its runs, which differ in the seed alone."""

    name: str
    runs: tuple[FinishedRun, ...]

    @property
    def seeds(self) -> list[int]:
        """Of the runs, in their order."""
        return [run.config.seed for run in self.runs]


def read_run(folder: Path) -> FinishedRun:
    """Read a run's folder.

    Raises:
        ComparisonError: it holds no evaluation.
        ConfigError: its config.json is not that of a run.
        StorageError: its history is damaged.

    """
    paths = RunPaths(folder)
    if not paths.config.is_file():
        raise ComparisonError(f"{folder} is no run folder: found no {paths.config.name}")
    return FinishedRun(
        folder=folder,
        config=load_config(paths.config),
        answers=_read(paths.predictions),
        scores=_read(paths.metrics),
        history=read_history(paths.history),
    )


def require_single_answers(run: FinishedRun) -> None:
    """Check that a run was to find one answer to each example, by which runs are judged.

    Raises:
        ComparisonError: it was to find all.

    """
    if run.config.data.answers == "all":
        raise ComparisonError(
            f"{run.folder} was to find all answers (data.answers all), and runs are judged by single ones; its scores "
            "are in metrics.json, and qa score --answers all scores its all_answers.json"
        )


def systems_of(runs: Sequence[FinishedRun], *, each: bool = False) -> list[System]:
    """Group runs that differ in nothing but the seed, in their order; each for itself if asked, or if all are alike."""
    groups: list[list[FinishedRun]] = []
    for run in runs:
        same = next((group for group in groups if group[0].recipe == run.recipe), None)
        if same is None:
            groups.append([run])
        else:
            same.append(run)
    if each or len(groups) == 1:
        groups = [[run] for run in runs]
    names = _names([group[0] for group in groups])
    return [System(name=name, runs=tuple(group)) for name, group in zip(names, groups, strict=True)]


def _names(runs: Sequence[FinishedRun]) -> list[str]:
    """Name runs by the settings in which they differ; by their folders where that is long, or the same."""
    recipes = [run.recipe for run in runs]
    keys = [key for key in recipes[0] if len({str(recipe.get(key)) for recipe in recipes}) > 1]
    by_settings = [", ".join(f"{key.rpartition('/')[2]}={recipe[key]}" for key in keys) for recipe in recipes]
    if 0 < len(keys) <= _MOST_NAMED and len(set(by_settings)) == len(runs):
        return by_settings
    short = [run.folder.resolve().name for run in runs]
    return short if len(set(short)) == len(runs) else [str(run.folder) for run in runs]


def _read(path: Path) -> dict[str, Any]:
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ComparisonError(
            f"{path.parent} has no evaluation to compare: cannot read {path.name}: {error}"
        ) from error
    return values
