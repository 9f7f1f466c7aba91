"""Evaluate a model in training, and keep the best one with its answers."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from qa.batching import Batch
from qa.checkpoints import export_model
from qa.evaluation import Evaluator
from qa.model import ReaderSettings
from qa.runtime import on_main
from qa.tracking import Tracking, write_evaluation
from qa.training import Trainer


@dataclass(frozen=True, kw_only=True)
class Judge:
    """Evaluates between steps; the best model so far is in the run folder's `model/`, beside its answers and scores."""

    trainer: Trainer
    tokenizer: PreTrainedTokenizerBase
    settings: ReaderSettings
    """Saved with the model, with the threshold that the evaluation fits."""
    folder: Path
    tracking: Tracking
    watch: Callable[[Iterable[Batch]], Iterable[Batch]]
    """Wraps the batches of an evaluation."""

    def __call__(self, evaluator: Evaluator) -> None:
        """Evaluate the model as it is now, and keep it and its answers if it is the best so far. Collective."""
        trainer = self.trainer
        evaluation = evaluator.evaluate(trainer.model, self.watch)
        best = trainer.progress.judge(evaluation.scores, trainer.config.best_metric)
        if best:
            settings = replace(self.settings, no_answer_threshold=evaluation.fitted_threshold)
            export_model(trainer, self.tokenizer, settings, self.folder / "model")
            on_main(trainer.accelerator, partial(write_evaluation, self.folder, evaluation))
        self.tracking.evaluation(evaluation, evaluator.examples, step=trainer.progress.step, best=best)
