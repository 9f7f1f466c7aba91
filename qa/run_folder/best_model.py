"""The best model so far with its results, and the best few."""

import shutil

from transformers import PreTrainedTokenizerBase

from qa.errors import StorageError
from qa.evaluation.evaluator import Evaluation
from qa.files import link_or_copy, whole_folder
from qa.modeling.saving import save_reader
from qa.modeling.settings import ReaderSettings
from qa.run_folder.paths import RunPaths, step_name
from qa.run_folder.results import write_results
from qa.run_folder.states import gather_weights
from qa.runtime.collectives import on_main
from qa.training.loop import TrainingLoop


def keep_best(
    paths: RunPaths,
    loop: TrainingLoop,
    tokenizer: PreTrainedTokenizerBase,
    settings: ReaderSettings,
    evaluation: Evaluation,
    *,
    best: bool,
) -> None:
    """Keep the model as it is now if it is one of the best; if it is the best, with the results of its evaluation.

    Collective.

    Raises:
        StorageError: they cannot be written.

    """
    count, step = loop.plan.config.keep_best, loop.progress.step
    kept = loop.progress.best_steps(count) if count > 1 else []
    if best:
        keep_model(paths, loop, tokenizer, settings)
        on_main(loop.accelerator, lambda: write_results(paths, evaluation))
    if step in kept:
        weights = None if best else gather_weights(loop)
        plain = loop.accelerator.unwrap_model(loop.model)
        on_main(
            loop.accelerator,
            lambda: (
                _link_model(paths, step)
                if weights is None
                else save_reader(paths.model_of(step), plain, weights, tokenizer, settings)
            ),
        )
    on_main(loop.accelerator, lambda: _forget_models(paths, kept))


def keep_model(
    paths: RunPaths, loop: TrainingLoop, tokenizer: PreTrainedTokenizerBase, settings: ReaderSettings
) -> None:
    """Save the model as it is now, so that `from_pretrained` loads it. Collective.

    Raises:
        StorageError: it cannot be written; an earlier one is untouched.

    """
    weights = gather_weights(loop)
    plain = loop.accelerator.unwrap_model(loop.model)
    on_main(loop.accelerator, lambda: save_reader(paths.model, plain, weights, tokenizer, settings))


def _link_model(paths: RunPaths, step: int) -> None:
    """Let the best model stand among the best few too, without its weights a second time."""
    try:
        with whole_folder(paths.model_of(step)) as part:
            for file in paths.model.iterdir():
                link_or_copy(file, part / file.name)
    except OSError as error:
        raise StorageError(f"cannot write {paths.model_of(step)}: {error}") from error


def _forget_models(paths: RunPaths, kept: list[int]) -> None:
    names = {step_name(step) for step in kept}
    for folder in paths.models.glob("step-*"):
        if folder.name not in names:
            shutil.rmtree(folder)
