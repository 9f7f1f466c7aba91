"""A run folder as the run uses it: what is in the other files of this package, with less to pass around."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from accelerate import Accelerator

from qa.config import RunConfig
from qa.data.examples import Examples
from qa.evaluation.evaluator import Evaluation, Evaluator
from qa.modeling.reader import Reader
from qa.modeling.settings import ReaderSettings, null_is_possible, settings_of
from qa.run_folder.best_model import keep_best, keep_model
from qa.run_folder.checkpoints import Checkpoints
from qa.run_folder.history import History
from qa.run_folder.identity import Identity
from qa.run_folder.lock import FolderLock
from qa.run_folder.model_card import publish
from qa.run_folder.paths import RunPaths
from qa.run_folder.records import finish_interrupted, make_folder, require_delivered, require_fresh, write_records
from qa.run_folder.results import write_results
from qa.runtime.collectives import on_main
from qa.runtime.logs import logged_to
from qa.training.loop import TrainingLoop


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run, owned by it while entered. All methods are collective; only the main process writes."""

    accelerator: Accelerator
    config: RunConfig
    paths: RunPaths
    _owned: contextlib.ExitStack
    _history: History

    @classmethod
    def open(cls, accelerator: Accelerator, config: RunConfig) -> "RunFolder":
        """Make the folder, or take the one of the run that is resumed; own it, and log into it.

        Raises:
            CheckpointError: it holds another run, or is in use.
            StorageError: it cannot be made.

        """
        paths = RunPaths(config.output_dir)
        folder = cls(accelerator, config, paths, contextlib.ExitStack(), History(paths.history))
        on_main(accelerator, folder._take)
        return folder

    def _take(self) -> None:
        make_folder(self.paths.root)
        lock = FolderLock(self.paths.root)
        lock.acquire()
        self._owned.callback(lock.release)
        try:
            if self.config.resume is None:
                require_fresh(self.paths.root)
            finish_interrupted(self.paths)
        except BaseException:
            self._owned.close()
            raise
        self._owned.enter_context(logged_to(self.paths.log))

    def __enter__(self) -> "RunFolder":  # noqa: PYI034  # the tests' type checker does not know Self in methods
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._owned.close()

    @property
    def trace(self) -> Path | None:
        """Where this process writes a profile; None where it does not."""
        profiles = self.config.training.profile and self.accelerator.is_main_process
        return self.paths.trace if profiles else None

    def write_records(self, **data: Examples | None) -> None:
        """Write configuration, environment and the problems of the examples, by split."""
        on_main(self.accelerator, lambda: write_records(self.paths, self.accelerator, self.config, data))

    def write_results(self, evaluation: Evaluation) -> None:
        """Write answers and scores."""
        on_main(self.accelerator, lambda: write_results(self.paths, evaluation))

    def checkpoints(self, loop: TrainingLoop, examples: Examples, evaluator: Evaluator | None) -> Checkpoints:
        """Return the checkpoints of a run on these examples."""
        validation = evaluator.examples if evaluator is not None else None
        further = {name: one.examples for name, one in evaluator.further.items()} if evaluator is not None else None
        identity = Identity.of(self.config, loop, train=examples, validation=validation, further=further)
        null_possible = self._null_possible(loop) if evaluator is None else evaluator.null_possible
        return Checkpoints(self.paths, loop, identity, self._settings(null_possible=null_possible))

    def log_values(self, values: Mapping[str, Any]) -> None:
        """Add a line to the history, on the main process."""
        if self.accelerator.is_main_process:
            self._history.append(values)

    def keep(self, loop: TrainingLoop, reader: Reader, evaluation: Evaluation, *, best: bool) -> None:
        """Keep the model as it is now if it is one of the best, with what its evaluation fitted and found."""
        settings = self._settings(null_possible=evaluation.null_possible, threshold=evaluation.fitted_threshold)
        keep_best(self.paths, loop, reader.tokenizer, settings, evaluation, best=best)

    def keep_last(self, loop: TrainingLoop, reader: Reader) -> None:
        """Keep the model as it is at the end of a run without evaluations."""
        settings = self._settings(null_possible=self._null_possible(loop))
        keep_model(self.paths, loop, reader.tokenizer, settings)

    def publish(self, evaluator: Evaluator | None) -> None:
        """Check that the run has left what it is for, write the model's card, push the model where that is asked for.

        Raises:
            StorageError: model or predictions are missing.
            HubError: the hub does not take it; the model and its card stay in the run folder.

        """
        if self.accelerator.is_main_process:
            require_delivered(self.paths, evaluated=self.config.validation_data is not None)
            publish(self.paths, self.config, _referenced_rows(evaluator))

    def _null_possible(self, loop: TrainingLoop) -> bool:
        asked = self.config.decoding.no_answer
        return null_is_possible(None, asked=asked, has_impossible=loop.plan.has_impossible)

    def _settings(self, *, null_possible: bool, threshold: float | None = None) -> ReaderSettings:
        """Return how a model is to be used; without a threshold that was fitted, with the one that was asked for."""
        asked = self.config.decoding.no_answer_threshold or 0.0
        return settings_of(
            self.config, null_possible=null_possible, threshold=asked if threshold is None else threshold
        )


def _referenced_rows(evaluator: Evaluator | None) -> list[dict[str, Any]]:
    """Return the validation examples, if they have references, with the number of their windows."""
    if evaluator is None or not evaluator.examples.has_references:
        return []
    windows = np.bincount(evaluator.features.example, minlength=len(evaluator.examples)).tolist()
    return [{**row, "windows": count} for row, count in zip(evaluator.examples.rows, windows, strict=True)]
