"""Checkpoints of tiny runs, as train_qa.py writes them."""

from dataclasses import replace

import torch

from qa.config import FeaturesConfig, RecipeConfig, RunConfig, TrainingConfig
from qa.data.examples import Examples
from qa.modeling.reader import load_reader
from qa.modeling.settings import ReaderSettings, settings_of
from qa.run_folder.checkpoints import Checkpoints
from qa.run_folder.identity import Identity
from qa.run_folder.paths import RunPaths
from qa.run_folder.records import save_config
from tests.support import tiny
from tests.support.trainers import loop_for, weights

ROWS = tiny.small(11)


RUN = RunConfig(model="tiny", training=TrainingConfig(learning_rate=1e-3))


SETTINGS = ReaderSettings(
    max_length=64,
    doc_stride=8,
    max_question_length=16,
    n_best=20,
    max_answer_tokens=30,
    search="exact",
    null_possible=True,
    no_answer_threshold=0.25,
)


def identity_of(loop, config=RUN, rows=ROWS, validation=ROWS, further=None):
    sets = {name: Examples(rows=content) for name, content in (further or {}).items()}
    return Identity.of(config, loop, train=Examples(rows=rows), validation=Examples(rows=validation), further=sets)


def checkpoints_of(loop, folder, **identity):
    head = identity.get("config", RUN).head
    return Checkpoints(RunPaths(folder), loop, identity_of(loop, **identity), replace(SETTINGS, head=head))


def save(loop, folder):
    checkpoints_of(loop, folder).save()
    return RunPaths(folder).checkpoint(loop.progress.step)


def resume(loop, folder, source="auto", **identity):
    checkpoints_of(loop, folder, **identity).resume(source)


def new_loop(*, make=loop_for, model_seed=0, weights="those of the run", **training):
    """As in a new process: other weights (said to be the run's), nothing of the optimizer, other generators."""
    torch.manual_seed(model_seed + 1000)
    torch.rand(7)
    loop = make(ROWS, model=tiny.model(seed=model_seed), **training)
    loop.plan = replace(loop.plan, weights_fingerprint=weights)
    return loop


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def deliver(folder):
    (folder / "model").mkdir()
    (folder / "predictions.json").touch()


AVERAGED = {"averaging": "ema", "averaging_decay": 0.5}


def averaged_run(folder):
    """Write three checkpoints with averaged weights; return weights and averages by step."""
    model = tiny.save_reader(folder.with_name(f"{folder.name}-began-with"))
    config = RunConfig(
        model=str(model),
        features=FeaturesConfig(max_length=64, doc_stride=8, max_question_length=16),
        training=TrainingConfig(keep_last=9),
        recipe=RecipeConfig(**AVERAGED),
    )
    loop = loop_for(
        tiny.small(6), model=load_reader(str(model), max_length=64).model, recipe=AVERAGED, max_steps=3, keep_last=9
    )
    identity = Identity.of(config, loop, train=Examples(rows=tiny.small(6)), validation=None)
    settings = replace(settings_of(config, null_possible=True, threshold=0.0), n_best=7)
    checkpoints, found = Checkpoints(RunPaths(folder), loop, identity, settings), {}
    for step in loop.steps():
        checkpoints.save()
        with loop.averaged():
            averaged = weights(loop)
        found[step.number] = weights(loop), averaged
    save_config(config, RunPaths(folder).config)
    return found
