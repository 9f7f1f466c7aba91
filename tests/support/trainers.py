"""Training loops of tiny models, as train_qa.py makes them."""

import itertools
import math

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer

from qa.config import FeaturesConfig, RecipeConfig, RunConfig, TrainingConfig
from qa.data.examples import Examples
from qa.features.collation import collate
from qa.features.labels import build_labels
from qa.features.windows import Encoder, build_features
from qa.modeling.loss import choose_loss, span_loss
from qa.modeling.quirks import model_inputs
from qa.modeling.reader import Reader
from qa.training import TrainingLoop, build_optimizer, plan_training
from tests.support import tiny

torch.set_num_threads(1)  # so small tensors are slower on several, the more when other programs run

WINDOWS = FeaturesConfig(max_length=64, doc_stride=8, max_question_length=16)
CALM = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def reader_of(model, family="bert"):
    tokenizer = tiny.tokenizer(family)
    encoder = Encoder.of(tokenizer)
    return Reader(model=model, tokenizer=tokenizer, input_names=model_inputs(model), encoder=encoder, settings=None)


def plan_for(rows, features, reader, *, seed=3, evaluates=False, recipe=None, **training):
    """Batch 2, constant rate without warm-up, no evaluations, unless told otherwise."""
    options = {"batch_size": 2, "learning_rate": 1e-3, "schedule": "constant", "warmup_ratio": 0.0}
    config = RunConfig(
        seed=seed,
        features=WINDOWS,
        training=TrainingConfig(**(options | training)),
        validation_data="sample" if evaluates else None,
        recipe=RecipeConfig(**(recipe or {})),
    )
    return plan_training(Accelerator(cpu=True), reader, Examples(rows=rows), features, config)


def loop_for(rows=None, *, family="bert", model=None, dropout=False, loss=None, head="spans", **planned):
    """A loop over small examples with a tiny model; see `plan_for`."""
    rows = tiny.small(10) if rows is None else rows
    accelerator = Accelerator(cpu=True)
    reader = reader_of(model or tiny.model(family, **({} if dropout or family != "bert" else CALM)), family)
    features = build_features(rows, reader.tokenizer, WINDOWS)
    plan = plan_for(rows, features, reader, **planned)
    if plan.packing is not None:
        reader.accept_packed(plan.packing, max_length=WINDOWS.max_length)
    reader.configure_for_training(plan.config, plan.recipe, accelerator.device)
    prepared, optimizer = accelerator.prepare(
        reader.model,
        build_optimizer(reader.model, plan.config, accelerator.device, layer_decay=plan.recipe.layer_decay),
    )
    return TrainingLoop(
        accelerator,
        prepared,
        optimizer,
        features,
        build_labels(rows, features, every=head == "tokens", tagged=head == "tokens"),
        plan,
        loss=loss or choose_loss(plan.recipe, head),
    )


def weights(loop):
    return {name: value.clone() for name, value in loop.model.state_dict().items()}


def assert_same_weights(one, two, **tolerance):
    for name, value in one.items():
        torch.testing.assert_close(value, two[name], **tolerance, msg=lambda text, name=name: f"{name}: {text}")


def scaled_loop(rows=None, *, scale=2.0**16, overflow_above=math.inf, **training):
    """A loop with a real GradScaler; a gradient of the head above the limit overflows, as in fp16."""
    loop = loop_for(rows, **training)
    scaler = torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=1000)
    accelerator = loop.accelerator
    accelerator.scaler = scaler
    loop.optimizer = AcceleratedOptimizer(loop.optimizer.optimizer, scaler=scaler)
    accelerator._optimizers = [loop.optimizer]
    accelerator.state._mixed_precision = "fp16"
    accelerator.native_amp = True
    loop.model.qa_outputs.weight.register_hook(
        lambda gradient: torch.where(gradient.abs() > overflow_above, math.inf, gradient)
    )
    return loop


STEADY = {"adam_epsilon": 1.0, "learning_rate": 0.1}
"""With a small epsilon Adam blows up the rounding errors of gradients that are almost zero."""


def batch_of(loop, indices, *, pad_multiple=8):
    return collate(
        loop.features,
        np.array(indices),
        input_names=loop.plan.input_names,
        pad_multiple=pad_multiple,
        labels=loop.loader.labels,
    )


def limited_memory(features):
    """A loss for which batches of more than so many features fail from the second on: by then there are gradients."""
    count = itertools.count()

    def limited(start, end, batch):
        if next(count) and len(batch) > features:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return span_loss(start, end, batch)

    return limited
