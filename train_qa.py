"""Fine-tune, evaluate and track an extractive question-answering reader.

    accelerate launch [--config_file accelerate_configs/FILE] train_qa.py [PRESET | CONFIG FILE] [flags]

The whole pipeline, top to bottom; `--help` lists the flags and their units. Installed, it is `-m train_qa`.
"""

import sys
from collections.abc import Sequence

from accelerate import Accelerator

from qa.config import RunConfig
from qa.data import load_further_validation_examples, load_training_examples, load_validation_examples
from qa.errors import StoppedError
from qa.evaluation import Evaluator
from qa.features import cached_features, cached_labels, fewer_unlabelled
from qa.modeling import Reader, choose_loss, load_reader_for
from qa.presets import parse_config
from qa.run_folder import RunFolder
from qa.runtime import StopRequest, end_process, exit_status, profiled, require_same_config, start_accelerator
from qa.tracking import RunTracker
from qa.training import TrainingLoop, build_optimizer, plan_training, prepare, prepare_for_evaluation, with_teachers


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; an error that a user can cause is one message, not a traceback."""
    return exit_status(lambda: run(parse_config(sys.argv[1:] if arguments is None else arguments)))


def run(config: RunConfig) -> None:
    """Fine-tune and evaluate, or evaluate only."""
    with StopRequest(config.training.max_minutes) as stop:
        accelerator = start_accelerator(config)  # processes, precision, logging, seed
        require_same_config(accelerator, config)
        with RunFolder.open(accelerator, config) as folder:
            reader = load_reader_for(config)
            validation = load_validation_examples(config)
            further = load_further_validation_examples(config)
            evaluator = (
                Evaluator.for_reader(accelerator, reader, validation, config, further)
                if validation is not None
                else None
            )
            if config.training.max_steps == 0 and evaluator is not None:
                evaluate_only(accelerator, reader, evaluator, folder, config, stop)
            else:
                fine_tune(accelerator, reader, evaluator, folder, config, stop)
                folder.publish(evaluator)


def evaluate_only(
    accelerator: Accelerator,
    reader: Reader,
    evaluator: Evaluator,
    folder: RunFolder,
    config: RunConfig,
    stop: StopRequest,
) -> None:
    """Answer the validation examples with the model as it is; score them where there are references."""
    folder.write_records(validation=evaluator.examples)
    with RunTracker(accelerator, config, history=folder.log_values) as tracker, stop.waiting(accelerator):
        model = prepare_for_evaluation(accelerator, reader, config.training)
        evaluation = evaluator.evaluate(model, around=(tracker.progress_bar, stop.checked))
        folder.write_results(evaluation)
        tracker.evaluation(evaluation, step=0)


def fine_tune(
    accelerator: Accelerator,
    reader: Reader,
    evaluator: Evaluator | None,
    folder: RunFolder,
    config: RunConfig,
    stop: StopRequest,
) -> None:
    """Train, evaluate and save as often as the configuration says, and keep the best model."""
    examples = load_training_examples(config)
    evaluator = evaluator.trained_on(examples) if evaluator is not None else None
    features = cached_features(examples, reader.encoder, config.features)
    labels = cached_labels(examples, features, config.features, head=config.head, answers=config.data.answers)
    labels = with_teachers(accelerator, labels, features, examples, reader, config)
    features, labels = fewer_unlabelled(features, labels, share=config.recipe.unlabelled_windows, seed=config.seed)
    plan = plan_training(accelerator, reader, examples, features, config)

    reader.configure_for_training(config.training, config.recipe, accelerator.device)
    recipe = config.recipe
    optimizer = build_optimizer(reader.model, config.training, accelerator.device, layer_decay=recipe.layer_decay)
    model, prepared = prepare(accelerator, reader, optimizer, config.training)
    # Forward, backward, clip, step: one optimizer step at a time.
    loop = TrainingLoop(accelerator, model, prepared, features, labels, plan, loss=choose_loss(recipe, config.head))

    checkpoints = folder.checkpoints(loop, examples, evaluator)
    checkpoints.resume(config.resume)
    folder.write_records(train=examples, validation=evaluator.examples if evaluator is not None else None)

    tracking = RunTracker(accelerator, config, plan, loop.progress, history=folder.log_values)
    with tracking as tracker, stop.waiting(accelerator), checkpoints.saved_on(StoppedError):
        tracker.training_data(features, labels, examples)
        for step in profiled(loop.steps(), folder.trace):
            tracker.step(step)
            if step.save_due or loop.is_done or checkpoints.timer_is_due():
                checkpoints.save()  # before the evaluation, whose errors then cost nothing
            stop.check()
            if evaluator is not None and step.evaluation_due:
                with loop.averaged():
                    evaluation = evaluator.evaluate(loop.model, around=(tracker.progress_bar, stop.checked))
                    best = loop.progress.note_scores(evaluation.scores, config.training.best_metric)
                    folder.keep(loop, reader, evaluation, best=best)
                tracker.evaluation(evaluation, step=step.number, best=best)
                checkpoints.note_evaluation()
        if evaluator is None:
            with loop.averaged():
                folder.keep_last(loop, reader)
        tracker.model(folder.paths.model, train=examples, evaluator=evaluator)


if __name__ == "__main__":
    end_process(main())
