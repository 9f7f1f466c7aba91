"""Examples in folds: a run for each, and all answers of runs that did not train on them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from qa import metrics
from qa.data.examples import Examples
from qa.data.splitting import Groups, assign
from qa.data.writing import write_examples
from qa.errors import ComparisonError, DataError
from qa.evaluation.intervals import Interval, mean_interval
from qa.experiments.finished import FinishedRun, read_run
from qa.experiments.settings import Trial, trial_of
from qa.files import write_json
from qa.metrics import Scores
from qa.run_folder.paths import RunPaths
from qa.run_folder.records import save_config

EXAMPLES = "examples.jsonl"
"""All examples, so that the folder of a cross-validation is read like that of a run."""


@dataclass(frozen=True, kw_only=True)
class Fold:
    """The files of a fold."""

    number: int
    train: Path
    validation: Path
    examples: int
    """Of the validation part."""


@dataclass(frozen=True, kw_only=True)
class OutOfFold:
    """What the runs of all folds found on examples that they did not train on."""

    scores: Scores
    """The official ones, over all examples."""
    exact: Interval
    """In percent; of a bootstrap over contexts."""
    f1: Interval


def write_folds(examples: Examples, folder: Path, *, count: int, seed: int) -> list[Fold]:
    """Write the two parts of every fold: no context is in both, and impossible examples are spread evenly.

    Raises:
        DataError: no references, or fewer contexts than folds.

    """
    if not examples.has_references:
        raise DataError("the examples have no references: no column answers; wanted answers to train on")
    table: pa.Table = examples.rows.with_format("arrow")[:]
    contexts = table["context"].to_pylist()
    answerable = [bool(answers["text"]) for answers in table["answers"].to_pylist()]
    groups = Groups("context")
    for context, has_answer in zip(contexts, answerable, strict=True):
        groups.add("", context, answerable=has_answer)
    parts = assign(groups.totals(), (1.0 / count,) * count, seed=seed)
    part = np.array([parts[groups.group_of(context)] for context in contexts])
    return [_written(table, part == at, folder / str(at + 1), at + 1) for at in range(count)]


def _written(table: pa.Table, is_validation: np.ndarray, folder: Path, number: int) -> Fold:
    folder.mkdir(parents=True, exist_ok=True)
    train, validation = folder / "train.jsonl", folder / "validation.jsonl"
    write_examples([table.filter(pa.array(~is_validation))], train)
    held_out = write_examples([table.filter(pa.array(is_validation))], validation)
    return Fold(number=number, train=train, validation=validation, examples=held_out)


def trials_of(folds: Sequence[Fold], words: Sequence[str]) -> list[Trial]:
    """Return the run of each fold.

    It is evaluated at its end only: the best of several evaluations on a fold would flatter the model.
    """
    return [
        trial_of(
            {"fold": fold.number},
            {
                "train-data": str(fold.train),
                "validation-data": str(fold.validation),
                "training.evaluate-every": 0,
            },
            words,
        )
        for fold in folds
    ]


def join_runs(folders: Sequence[Path], examples: Examples, out: Path, *, source: str) -> OutOfFold:
    """Write the answers of all folds into one folder, which is read like that of a run; score them.

    Args:
        folders: of the runs.
        examples: that were cut into folds.
        out: folder to write.
        source: of the examples, for the record.

    Raises:
        ComparisonError: examples that no run, or more than one, has answered.

    """
    runs, paths = [read_run(folder) for folder in folders], RunPaths(out)
    ids = examples.rows["id"][:]
    answers = _joined([run.answers for run in runs], ids)
    n_best = _joined([_read(RunPaths(run.folder).n_best) for run in runs], ids)
    null_odds = _joined([_read(RunPaths(run.folder).null_odds) for run in runs], ids)
    config = replace(runs[0].config, train_data=source, validation_data=str(out / EXAMPLES), output_dir=out)
    found = _scored(examples, n_best, null_odds, runs[0])
    write_examples([examples.rows.with_format("arrow")[:]], out / EXAMPLES)
    save_config(config, paths.config)
    for path, values in ((paths.predictions, answers), (paths.n_best, n_best), (paths.null_odds, null_odds)):
        write_json(path, values)
    write_json(paths.metrics, found.scores)
    return found


def _scored(
    examples: Examples, n_best: Mapping[str, Any], null_odds: Mapping[str, float], first: FinishedRun
) -> OutOfFold:
    references = {row["id"]: row["answers"]["text"] for row in examples.rows}
    spans = {key: next((one["text"] for one in found if one["start"] is not None), "") for key, found in n_best.items()}
    threshold, language = first.scores.get("no_answer_threshold", 0.0), first.config.decoding.language
    scores = metrics.score(spans, references, null_odds=null_odds, threshold=threshold, language=language)
    impossible = not all(references.values())
    texts = {key: "" if impossible and null_odds[key] > threshold else text for key, text in spans.items()}
    raw = metrics.raw_scores(texts, references, language=language)
    context = np.unique(examples.rows["context"][:], return_inverse=True)[1]
    exact, f1 = (mean_interval(100 * values, context) for values in raw)
    return OutOfFold(scores=scores, exact=exact, f1=f1)


def _joined(parts: Sequence[Mapping[str, Any]], ids: Sequence[str]) -> dict[str, Any]:
    joined = {key: value for part in parts for key, value in part.items()}
    if len(joined) != sum(map(len, parts)) or joined.keys() != set(ids):
        raise ComparisonError(
            f"the runs of the folds have {sum(map(len, parts))} answers to {len(joined)} examples; wanted one to each "
            f"of {len(ids)}"
        )
    return {key: joined[key] for key in ids}


def _read(path: Path) -> dict[str, Any]:
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ComparisonError(f"cannot read {path}: {error}") from error
    return values
