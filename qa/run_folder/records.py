"""config.json, environment.json, data_problems.jsonl."""

import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

from accelerate import Accelerator

from qa.config import RunConfig, config_values
from qa.data.examples import Examples
from qa.data.validation import DataProblem
from qa.errors import CheckpointError, StorageError
from qa.files import write_json, write_whole
from qa.run_folder.paths import RunPaths
from qa.runtime.environment import describe_environment

log = logging.getLogger(__name__)


def prepare_folder(folder: Path, *, resumes: bool) -> None:
    """Make the run folder.

    Raises:
        CheckpointError: it holds files of another run and this one does not resume.
        StorageError: it cannot be made.

    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot make the run folder {folder}: {error.strerror}") from error
    if not resumes and any(folder.iterdir()):
        raise CheckpointError(f"the run folder {folder} is not empty; wanted a new one, or --resume to go on with it")


def write_records(
    paths: RunPaths, accelerator: Accelerator, config: RunConfig, data: Mapping[str, Examples | None]
) -> None:
    """Write what the run is: its configuration, environment and the problems of its data, by split."""
    save_config(config, paths.config)
    write_json(paths.environment, describe_environment(accelerator))
    problems = {split: examples.problems for split, examples in data.items() if examples is not None}
    write_problems(problems, paths.data_problems)
    for split, found in problems.items():
        for action, count in Counter(problem.action for problem in found).items():
            log.warning("%s data: %d examples %s; see %s", split, count, action, paths.data_problems.name)


def save_config(config: RunConfig, path: Path) -> None:
    """Write `config` as JSON; `qa.presets` reads it back as an equal value."""
    write_json(path, config_values(config))


def write_problems(problems: Mapping[str, Iterable[DataProblem]], path: Path) -> None:
    """Write the problems of each split to `path` as JSON Lines, whole or not at all; without any, the file is empty."""
    rows = [{"split": split, **asdict(problem)} for split, found in problems.items() for problem in found]
    # ASCII only (json's default): an id may hold a lone surrogate, which UTF-8 cannot
    write_whole(path, "".join(f"{json.dumps(row)}\n" for row in rows))
