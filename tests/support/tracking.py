"""A short run that is tracked, and what it tells."""

import dataclasses

import numpy as np
from accelerate import Accelerator

from qa.config import RecipeConfig, RunConfig, TrackingConfig, TrainingConfig
from qa.data.examples import Examples
from qa.decoding.predictions import Predictions
from qa.evaluation.evaluator import Evaluation
from qa.features.order import BatchSplit
from qa.tracking.run_tracker import RunTracker
from qa.training.plan import TrainingPlan
from qa.training.progress import Progress, StepReport
from tests.support import tiny


def config_for(folder, *names, **training):
    return RunConfig(
        output_dir=folder,
        training=TrainingConfig(**({"log_every": 2} | training)),
        tracking=TrackingConfig(report_to=names or ("none",), project="test-project", table_rows=2),
    )


def plan(total_steps):
    return TrainingPlan(
        config=TrainingConfig(),
        recipe=RecipeConfig(),
        seed=0,
        split=BatchSplit(process=0, processes=1, accumulation_steps=1, batch_size=4),
        steps_per_epoch=5,
        total_steps=total_steps,
        evaluates=True,
        has_impossible=True,
        ids=(),
        input_names=(),
    )


def report(step, **changes):
    values = {
        "number": step,
        "evaluation_due": False,
        "save_due": False,
        "epoch": step / 5,
        "ends_epoch": step % 5 == 0,
        "loss": 6.0 / step,
        "learning_rate": 1e-3 * step,
        "gradient_norm": 2.0 * step,
        "features": 4,
        "tokens": 300,
        "padded_tokens": 400,
        "overflows": 0,
        "seconds": 0.5,
    }
    return StepReport(**(values | changes))


EXAMPLES = Examples(rows=tiny.small(3))


PREDICTIONS = Predictions(
    ids=["q0", "q1", "q2"],
    bounds=np.array([0, 2, 3, 3]),
    text=["0", "The word", "7"],
    start=np.array([26, 0, 26]),
    end=np.array([27, 8, 27]),
    start_logit=np.array([3.0, 1.0, 2.0], dtype=np.float32),
    end_logit=np.array([2.5, 1.0, 2.0], dtype=np.float32),
    probability=np.array([0.5, 0.25, 0.75]),
    counted=np.array([True, True, True]),
    null_logits=np.array([[0.0, 0.5], [3.0, 2.0], [0.0, 0.0]], dtype=np.float32),
    null_probability=np.array([0.25, 0.25, 1.0]),
    null_possible=True,
)


EVALUATION = Evaluation(
    examples=EXAMPLES,
    predictions=PREDICTIONS,
    scores={"exact": 50.0, "f1": 62.5, "best_f1": 70.0},
    null_possible=True,
    threshold=0.0,
    fitted_threshold=0.5,
    seconds=1.0,
)


def track(config, progress=None, *, after=0):
    """A short run: five steps of an epoch, an evaluation in the middle and two further steps; or what is left of it."""
    accelerator = Accelerator(cpu=True, log_with=list(config.tracking.trackers) or None, project_dir=config.output_dir)
    config.output_dir.mkdir(parents=True, exist_ok=True)
    progress = progress or Progress()
    tracking = RunTracker(accelerator, config, plan(7), progress)
    for step in range(after + 1, 8):
        tracking.step(report(step))
        if step == 5:
            tracking.evaluation(EVALUATION, step=step, best=True)
    worse = dataclasses.replace(EVALUATION, scores={"exact": 40.0, "f1": 50.0, "best_f1": 60.0})
    tracking.evaluation(worse, step=7, best=False)
    tracking.finish()
    return progress
