"""Trainers of tiny models, as train_qa.py makes them."""

import dataclasses
import math

import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer

from qa.config import FeaturesConfig, TrainingConfig
from qa.features import build_features
from qa.model import model_inputs, prepare_for_training
from qa.optimization import build_optimizer
from qa.training import Progress, Trainer, plan_training
from tests.support import tiny

torch.set_num_threads(1)  # so small tensors are slower on several, the more when other programs run

WINDOWS = FeaturesConfig(max_length=64, doc_stride=8, max_question_length=16)
CALM = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def trainer_for(rows=None, *, family="bert", model=None, seed=3, dropout=False, **training):
    """A trainer of a tiny model on small examples; batch 2, constant rate without warm-up unless told otherwise."""
    rows = tiny.small(10) if rows is None else rows
    options = {"batch_size": 2, "learning_rate": 1e-3, "schedule": "constant", "warmup_ratio": 0.0}
    config = TrainingConfig(**(options | training))
    accelerator = Accelerator(cpu=True)
    model = model or tiny.model(family, **({} if dropout or family != "bert" else CALM))
    tokenizer = tiny.tokenizer(family)
    features = build_features(rows, tokenizer, WINDOWS)
    prepare_for_training(model, config, accelerator.device)
    prepared, optimizer = accelerator.prepare(model, build_optimizer(model, config, accelerator.device))
    return Trainer(
        accelerator=accelerator,
        model=prepared,
        optimizer=optimizer,
        features=features,
        ids=rows["id"][:],
        input_names=model_inputs(model, tokenizer),
        config=config,
        plan=plan_training(len(features), accelerator, config),
        seed=seed,
        progress=Progress(),
    )


def weights(trainer):
    return {name: value.clone() for name, value in trainer.model.state_dict().items()}


def assert_same_weights(one, two, **tolerance):
    for name, value in one.items():
        torch.testing.assert_close(value, two[name], **tolerance, msg=lambda text, name=name: f"{name}: {text}")


def scaled_trainer(rows=None, *, scale=2.0**16, overflow_above=math.inf, **training):
    """A trainer with a real GradScaler; a gradient of the head above the limit overflows, as in fp16."""
    trainer = trainer_for(rows, **training)
    scaler = torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=1000)
    accelerator = trainer.accelerator
    accelerator.scaler = scaler
    optimizer = AcceleratedOptimizer(trainer.optimizer.optimizer, scaler=scaler)
    accelerator._optimizers = [optimizer]
    accelerator.state._mixed_precision = "fp16"
    accelerator.native_amp = True
    trainer.model.qa_outputs.weight.register_hook(
        lambda gradient: torch.where(gradient.abs() > overflow_above, math.inf, gradient)
    )
    return dataclasses.replace(trainer, optimizer=optimizer)
