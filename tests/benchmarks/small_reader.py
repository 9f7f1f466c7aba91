"""A reader of a few kilobytes: the embedded model with biases, scales and head trained on SQuAD.

    python -m tests.benchmarks.small_reader --data FOLDER    # with train.parquet; writes SMALL_READER

It reads well enough for tests that need a reader whose answers are no noise, and is small enough to be kept with them.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from qa.config import DataConfig, FeaturesConfig
from qa.data.examples import load_examples, take
from qa.features.collation import collate
from qa.features.labels import build_labels
from qa.features.windows import build_features
from qa.modeling.loss import span_loss
from qa.modeling.reader import Reader, load_reader

SMALL_READER = Path(__file__).parents[1] / "support" / "small_reader.npz"
_EXAMPLES, _BATCH, _RATE = 1_600, 16, 2e-3


def load_small_reader() -> Reader:
    """The embedded model with the stored weights."""
    reader = load_reader("minilm")
    with np.load(SMALL_READER) as stored, torch.no_grad():
        parameters = dict(reader.model.named_parameters())
        for name in stored.files:
            parameters[name].copy_(torch.from_numpy(stored[name].astype(np.float32)))
    return reader


def trained_parameters(model):
    """What is small: biases, normalisation and the head."""
    return {name: value for name, value in model.named_parameters() if value.ndim == 1 or "qa_outputs" in name}


def train(data):
    torch.manual_seed(0)
    reader = load_reader("minilm")
    examples = take(load_examples(str(data), split="train", config=DataConfig()), _EXAMPLES)
    features = build_features(examples.rows, reader.tokenizer, FeaturesConfig(max_length=192, doc_stride=64))
    labels = build_labels(examples.rows, features)
    small = trained_parameters(reader.model)
    for value in reader.model.parameters():
        value.requires_grad_(requires_grad=False)
    for value in small.values():
        value.requires_grad_()
    order = np.random.default_rng(0).permutation(len(features))
    steps = len(order) // _BATCH
    optimizer = torch.optim.AdamW(small.values(), lr=_RATE, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1, step / 10) * (1 - step / steps))
    reader.model.train()
    for step in range(steps):
        rows = order[step * _BATCH : (step + 1) * _BATCH]
        batch = collate(features, rows, input_names=reader.input_names, pad_multiple=8, labels=labels)
        output = reader.model(**batch.inputs)
        loss = span_loss(output.start_logits, output.end_logits, batch) / len(batch)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        if step % 20 == 0:
            print(step, steps, float(loss.detach()), flush=True)
    np.savez_compressed(SMALL_READER, **{name: value.detach().half().numpy() for name, value in small.items()})


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    train(parser.parse_args().data)
