"""A run folder as the run uses it: what is in the other files of this package, with less to pass around."""

from dataclasses import dataclass
from pathlib import Path

from accelerate import Accelerator

from qa.config import RunConfig
from qa.data.examples import Examples
from qa.evaluation.evaluator import Evaluation, Evaluator
from qa.modeling.reader import Reader
from qa.modeling.settings import ReaderSettings, settings_of
from qa.run_folder.best_model import keep_best, keep_model
from qa.run_folder.checkpoints import Checkpoints
from qa.run_folder.identity import Identity
from qa.run_folder.model_card import publish
from qa.run_folder.paths import RunPaths
from qa.run_folder.records import prepare_folder, write_records
from qa.run_folder.results import write_results
from qa.runtime.collectives import on_main
from qa.training.loop import TrainingLoop


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run. All methods are collective; only the main process writes."""

    accelerator: Accelerator
    config: RunConfig
    paths: RunPaths

    @classmethod
    def open(cls, accelerator: Accelerator, config: RunConfig) -> "RunFolder":
        """Make the folder, or take the one of the run that is resumed.

        Raises:
            CheckpointError: it holds another run.
            StorageError: it cannot be made.

        """
        folder = config.output_dir
        on_main(accelerator, lambda: prepare_folder(folder, resumes=config.resume is not None))
        return cls(accelerator, config, RunPaths(folder))

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
        return Checkpoints(self.paths, loop, Identity.of(self.config, loop, train=examples, validation=validation))

    def keep_best(self, loop: TrainingLoop, reader: Reader, evaluation: Evaluation) -> None:
        """Keep the model as it is now, with what its evaluation fitted and found."""
        null_possible = loop.plan.has_impossible or evaluation.examples.has_impossible
        settings = self._settings(null_possible=null_possible, threshold=evaluation.fitted_threshold)
        keep_best(self.paths, loop, reader.tokenizer, settings, evaluation)

    def keep_last(self, loop: TrainingLoop, reader: Reader) -> None:
        """Keep the model as it is at the end of a run without evaluations."""
        settings = self._settings(null_possible=loop.plan.has_impossible, threshold=0.0)
        keep_model(self.paths, loop, reader.tokenizer, settings)

    def publish(self) -> None:
        """Write the model's card, and push the model where that is asked for.

        Raises:
            HubError: the hub does not take it; the model and its card stay in the run folder.

        """
        if self.accelerator.is_main_process:
            publish(self.paths, self.config)

    def _settings(self, *, null_possible: bool, threshold: float) -> ReaderSettings:
        return settings_of(self.config, null_possible=null_possible, threshold=threshold)
