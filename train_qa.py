"""Fine-tune, evaluate and track an extractive question-answering reader.

    accelerate launch [--config_file accelerate_configs/FILE] train_qa.py [PRESET | CONFIG FILE] [flags]

The whole pipeline, top to bottom; `--help` lists the flags and their units.
"""

import sys
from functools import partial

from accelerate import Accelerator

from qa.checkpoints import Identity, export_model, prepare_run_folder, resume_from, save_checkpoint, write_records
from qa.config import RunConfig
from qa.data import load_training_examples
from qa.errors import QAError, StoppedError
from qa.evaluation import Evaluator
from qa.judging import Judge
from qa.model import Reader, load_reader, settings_of
from qa.model_card import publish
from qa.preparation import prepare_evaluation, prepare_model, prepare_training, require_same_settings
from qa.presets import parse_config
from qa.profiling import TRACE, profiled
from qa.progress import Progress, is_due
from qa.runtime import configure_logging, end_process, on_main, seed_generators, start_accelerator
from qa.stopping import SaveTimer, StopRequest
from qa.tracking import Tracking, write_evaluation


def main() -> int:
    """Run what the command line asks for; an error that a user can cause is one message, not a traceback."""
    try:
        run(parse_config(sys.argv[1:]))
    except StoppedError as stopped:
        print(stopped, file=sys.stderr)
        return stopped.status
    except QAError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def run(config: RunConfig) -> None:
    """Fine-tune and evaluate, or evaluate only."""
    with StopRequest(config.training.max_minutes) as stop:
        accelerator = start_accelerator(trackers=config.tracking.trackers, folder=config.output_dir)
        configure_logging(accelerator)
        require_same_settings(accelerator, config)
        on_main(accelerator, partial(prepare_run_folder, config.output_dir, resumes=config.resume is not None))
        seed_generators(config.seed)
        reader = load_reader(config.model, max_length=config.features.max_length, revision=config.model_revision)
        evaluator = prepare_evaluation(accelerator, reader, config)
        if config.training.max_steps == 0 and evaluator is not None:
            evaluate_only(accelerator, reader, evaluator, config, stop)
        else:
            fine_tune(accelerator, reader, evaluator, config, stop)
            if accelerator.is_main_process:
                publish(config)


def evaluate_only(
    accelerator: Accelerator, reader: Reader, evaluator: Evaluator, config: RunConfig, stop: StopRequest
) -> None:
    """Answer the validation examples with the model as it is; score them where there are references."""
    on_main(accelerator, partial(write_records, accelerator, config, {"validation": evaluator.examples}))
    with Tracking(accelerator, config, Progress(), total_steps=0) as tracking:
        stop.wait_for_steps()
        watch = partial(stop.watch, accelerator, around=tracking.watch)
        model, _ = prepare_model(accelerator, reader.model, config.training)
        evaluation = evaluator.evaluate(model, watch)
        on_main(accelerator, partial(write_evaluation, config.output_dir, evaluation))
        tracking.evaluation(evaluation, evaluator.examples, step=0, best=True)


def fine_tune(
    accelerator: Accelerator, reader: Reader, evaluator: Evaluator | None, config: RunConfig, stop: StopRequest
) -> None:
    """Train, evaluate and save as often as the configuration says, and keep the best model."""
    examples, training = load_training_examples(config), config.training
    trainer = prepare_training(accelerator, reader, examples, config)
    data = {"train": examples} | ({"validation": evaluator.examples} if evaluator is not None else {})
    progress, identity = trainer.progress, Identity.of(config, data, trainer.plan)
    if config.resume is not None:
        resume_from(trainer, config.output_dir, config.resume, identity)
    on_main(accelerator, partial(write_records, accelerator, config, data))
    settings = settings_of(config, null_possible=any(split.has_impossible for split in data.values()), threshold=0.0)
    with Tracking(accelerator, config, progress, total_steps=trainer.plan.total_steps) as tracking:
        judge = Judge(
            trainer=trainer,
            tokenizer=reader.tokenizer,
            settings=settings,
            folder=config.output_dir,
            tracking=tracking,
            watch=partial(stop.watch, accelerator, around=tracking.watch),
        )
        tracking.features(trainer.features, examples)
        stop.wait_for_steps()
        timer = SaveTimer(training.save_minutes)
        trace = config.output_dir / TRACE if training.profile and accelerator.is_main_process else None
        try:
            if evaluator is not None and progress.evaluation_due:  # where the run was stopped
                judge(evaluator)
                save_checkpoint(trainer, config.output_dir, identity)
            for report in profiled(trainer.steps(), trace):
                tracking.step(report)
                progress.evaluation_due = trainer.is_done or is_due(training.evaluate_every, report)
                stop.check(accelerator)
                if evaluator is not None and progress.evaluation_due:
                    judge(evaluator)
                if trainer.has_ended or is_due(training.save_every, report) or timer.is_due(accelerator):
                    save_checkpoint(trainer, config.output_dir, identity)
        except StoppedError:
            save_checkpoint(trainer, config.output_dir, identity)
            raise
        if evaluator is None:
            export_model(trainer, reader.tokenizer, settings, config.output_dir / "model")


if __name__ == "__main__":
    end_process(main())
