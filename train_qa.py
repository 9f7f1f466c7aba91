"""Fine-tune, evaluate and track an extractive question-answering reader.

    accelerate launch [--config_file accelerate_configs/FILE] train_qa.py [PRESET | CONFIG FILE] [flags]

The whole pipeline, top to bottom; `--help` lists the flags and their units.
"""

import sys
from functools import partial

from accelerate import Accelerator

from qa.checkpoints import Identity, export_model, prepare_run_folder, resume_from, save_checkpoint, write_records
from qa.config import RunConfig, parse_config
from qa.data import Examples, load_training_examples, load_validation_examples
from qa.errors import QAError
from qa.evaluation import Evaluator
from qa.feature_store import cached_features
from qa.model import Reader, load_reader, prepare_for_training, settings_of
from qa.model_card import publish
from qa.optimization import build_optimizer
from qa.runtime import configure_logging, on_main, seed_generators, start_accelerator
from qa.tracking import Tracking, write_evaluation
from qa.training import Progress, Trainer, is_due, plan_training


def main() -> int:
    """Run what the command line asks for; an error that a user can cause is one message, not a traceback."""
    try:
        run(parse_config(sys.argv[1:]))
    except QAError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def run(config: RunConfig) -> None:
    """Fine-tune and evaluate, or evaluate only."""
    accelerator = start_accelerator(trackers=config.tracking.trackers, folder=config.output_dir)
    configure_logging(accelerator)
    on_main(accelerator, partial(prepare_run_folder, config.output_dir, resumes=config.resume is not None))
    seed_generators(config.seed)
    reader = load_reader(config.model, max_length=config.features.max_length, revision=config.model_revision)
    evaluator = prepare_evaluation(accelerator, reader, config)
    if config.training.max_steps == 0 and evaluator is not None:
        evaluate_only(accelerator, reader, evaluator, config)
    else:
        fine_tune(accelerator, reader, evaluator, config)
        if accelerator.is_main_process:
            publish(config)


def prepare_evaluation(accelerator: Accelerator, reader: Reader, config: RunConfig) -> Evaluator | None:
    """Load the validation examples and their features."""
    examples = load_validation_examples(config)
    if examples is None:
        return None
    features = cached_features(examples.rows, reader.tokenizer, config.features, fingerprint=examples.fingerprint)
    return Evaluator.for_reader(accelerator, reader, examples, features, config.decoding)


def evaluate_only(accelerator: Accelerator, reader: Reader, evaluator: Evaluator, config: RunConfig) -> None:
    """Answer the validation examples with the model as it is; score them where there are references."""
    on_main(accelerator, partial(write_records, accelerator, config, {"validation": evaluator.examples}))
    tracking = Tracking(accelerator, config, Progress(), total_steps=0)
    evaluation = evaluator.evaluate(accelerator.prepare(reader.model), tracking.watch)
    on_main(accelerator, partial(write_evaluation, config.output_dir, evaluation))
    tracking.evaluation(evaluation, evaluator.examples, step=0, best=True)
    tracking.finish()


def prepare_training(accelerator: Accelerator, reader: Reader, examples: Examples, config: RunConfig) -> Trainer:
    """Build features and optimizer, and let accelerate prepare what is trained."""
    features = cached_features(examples.rows, reader.tokenizer, config.features, fingerprint=examples.fingerprint)
    plan = plan_training(len(features), accelerator, config.training)
    prepare_for_training(reader.model, config.training)
    optimizer = build_optimizer(reader.model, config.training, accelerator.device)
    model, optimizer = accelerator.prepare(reader.model, optimizer)
    seed_generators(config.seed + accelerator.process_index)  # each process drops out other units
    return Trainer(
        accelerator=accelerator,
        model=model,
        optimizer=optimizer,
        features=features,
        ids=examples.rows["id"][:],
        input_names=reader.input_names,
        config=config.training,
        plan=plan,
        seed=config.seed,
        progress=Progress(),
    )


def fine_tune(accelerator: Accelerator, reader: Reader, evaluator: Evaluator | None, config: RunConfig) -> None:
    """Train, evaluate and save as often as the configuration says, and keep the best model."""
    examples = load_training_examples(config)
    trainer = prepare_training(accelerator, reader, examples, config)
    identity = Identity.of(config, examples, trainer.plan)
    if config.resume is not None:
        resume_from(trainer, config.output_dir, config.resume, identity)
    data = {"train": examples} | ({"validation": evaluator.examples} if evaluator is not None else {})
    on_main(accelerator, partial(write_records, accelerator, config, data))
    tracking = Tracking(accelerator, config, trainer.progress, total_steps=trainer.plan.total_steps)
    tracking.features(trainer.features, examples)
    null_possible = any(split.has_impossible for split in data.values())
    for report in trainer.steps():
        tracking.step(report)
        if evaluator is not None and (trainer.is_done or is_due(config.training.evaluate_every, report)):
            evaluation = evaluator.evaluate(trainer.model, tracking.watch)
            best = trainer.progress.judge(evaluation.scores, config.training.best_metric)
            if best:
                settings = settings_of(config, null_possible=null_possible, threshold=evaluation.fitted_threshold)
                export_model(trainer, reader.tokenizer, settings, config.output_dir / "model")
                on_main(accelerator, partial(write_evaluation, config.output_dir, evaluation))
            tracking.evaluation(evaluation, evaluator.examples, step=report.step, best=best)
        if trainer.is_done or is_due(config.training.save_every, report):
            save_checkpoint(trainer, config.output_dir, identity)
        if trainer.progress.has_stalled(config.training.patience):
            break
    if evaluator is None:
        settings = settings_of(config, null_possible=null_possible, threshold=0.0)
        export_model(trainer, reader.tokenizer, settings, config.output_dir / "model")
    tracking.finish()


if __name__ == "__main__":
    sys.exit(main())
