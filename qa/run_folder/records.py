"""config.json, environment.json, data_problems.jsonl, attempts.jsonl; what must be there before and after a run."""

import json
import logging
import socket
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from accelerate import Accelerator

from qa.config import RunConfig, config_values
from qa.data.examples import Examples
from qa.data.problems import DataProblem
from qa.data.training_data import shared_content
from qa.errors import CheckpointError, StorageError
from qa.files import interrupted_folders, recover, write_json, write_whole
from qa.run_folder.history import append_line
from qa.run_folder.paths import CHECKPOINT_NAMES, RunPaths
from qa.runtime.environment import describe_environment

log = logging.getLogger(__name__)


_NOT_A_RUN = {"lost+found", "Thumbs.db", "desktop.ini", "__MACOSX"}
"""Names that systems leave in folders, besides hidden ones."""
_SHOWN_NAMES = 3


def make_folder(folder: Path) -> None:
    """Make the run folder.

    Raises:
        StorageError: it cannot be made.

    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot make the run folder {folder}: {error.strerror}") from error


def require_fresh(folder: Path) -> None:
    """Check that the run folder holds no other run; what is hidden, or a system's, does not count.

    Raises:
        CheckpointError: it does.

    """
    found = sorted(p.name for p in folder.iterdir() if not p.name.startswith(".") and p.name not in _NOT_A_RUN)
    if found:
        more = f" and {len(found) - _SHOWN_NAMES} more" if len(found) > _SHOWN_NAMES else ""
        raise CheckpointError(
            f"the run folder {folder} is not empty: it holds {', '.join(found[:_SHOWN_NAMES])}{more}; wanted a new "
            "one, or --resume to go on with it"
        )


def finish_interrupted(paths: RunPaths) -> None:
    """Finish what a killed process was about to put in place, and remove what it had only begun."""
    for folder, names in (
        (paths.checkpoints, CHECKPOINT_NAMES),
        (paths.models, CHECKPOINT_NAMES),
        (paths.root, "model"),
    ):
        for path in interrupted_folders(folder, names):
            recover(path)


def require_delivered(paths: RunPaths, *, evaluated: bool) -> None:
    """Check that a run that has ended leaves its model and, where it evaluated, its predictions.

    Raises:
        StorageError: something is missing.

    """
    wanted = [paths.model, *([paths.predictions, paths.n_best, paths.null_odds] if evaluated else [])]
    missing = [path.name for path in wanted if not path.exists()]
    if missing:
        raise StorageError(f"the run has ended without {', '.join(missing)} in {paths.root}")


def note_attempt(
    paths: RunPaths, accelerator: Accelerator, step: int, checkpoint: Path | None, changes: Mapping[str, str]
) -> None:
    """Write down that the run was started or resumed, and what has changed since its checkpoint."""
    environment = describe_environment(accelerator)
    attempt = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": socket.gethostname(),
        "step": step,
        "checkpoint": str(checkpoint) if checkpoint is not None else None,
        "changes": dict(changes),
        "command": environment["command"],
        "git_commit": environment["git_commit"],
    }
    append_line(paths.attempts, attempt)


def write_records(
    paths: RunPaths, accelerator: Accelerator, config: RunConfig, data: Mapping[str, Examples | None]
) -> None:
    """Write what the run is: its configuration, environment and the problems of its data, by split.

    What a user should know of the data is logged: notes, problems, and content that training and validation share.
    """
    save_config(config, paths.config)
    write_json(paths.environment, describe_environment(accelerator))
    problems = {split: examples.problems for split, examples in data.items() if examples is not None}
    write_problems(problems, paths.data_problems)
    for split, examples in data.items():
        for note in examples.notes if examples is not None else ():
            log.warning("%s data: %s", split, note)
    for split, found in problems.items():
        for action, count in Counter(problem.action for problem in found).items():
            log.warning("%s data: %d examples %s; see %s", split, count, action, paths.data_problems.name)
    _warn_of_shared_content(data.get("train"), data.get("validation"))


def _warn_of_shared_content(train: Examples | None, validation: Examples | None) -> None:
    if train is None or validation is None:
        return
    examples, contexts = shared_content(train, validation)
    if contexts:
        log.warning(
            "the training data holds %d of the %d validation examples (question and context) and %d of their contexts, "
            "so that scores will be too high",
            examples,
            len(validation),
            contexts,
        )


def save_config(config: RunConfig, path: Path) -> None:
    """Write `config` as JSON; `qa.presets` reads it back as an equal value."""
    write_json(path, config_values(config))


def write_problems(problems: Mapping[str, Iterable[DataProblem]], path: Path) -> None:
    """Write the problems of each split to `path` as JSON Lines, whole or not at all; without any, the file is empty."""
    rows = [{"split": split, **asdict(problem)} for split, found in problems.items() for problem in found]
    # ASCII only (json's default): an id may hold a lone surrogate, which UTF-8 cannot
    write_whole(path, "".join(f"{json.dumps(row)}\n" for row in rows))
