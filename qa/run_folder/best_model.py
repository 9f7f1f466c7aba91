"""The best model so far, with its results."""

from transformers import PreTrainedTokenizerBase

from qa.evaluation.evaluator import Evaluation
from qa.modeling.saving import save_reader
from qa.modeling.settings import ReaderSettings
from qa.run_folder.checkpoints import gather_weights
from qa.run_folder.paths import RunPaths
from qa.run_folder.results import write_results
from qa.runtime.collectives import on_main
from qa.training.loop import TrainingLoop


def keep_best(
    paths: RunPaths,
    loop: TrainingLoop,
    tokenizer: PreTrainedTokenizerBase,
    settings: ReaderSettings,
    evaluation: Evaluation,
) -> None:
    """Keep the model as it is now, and the results of its evaluation. Collective.

    Raises:
        StorageError: they cannot be written.

    """
    keep_model(paths, loop, tokenizer, settings)
    on_main(loop.accelerator, lambda: write_results(paths, evaluation))


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
