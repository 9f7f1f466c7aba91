"""What the loader yields, and what it leaves alone."""

import numpy as np
import torch

from qa.features.collation import collate
from qa.features.joining import PAD_MULTIPLE
from qa.features.labels import build_labels
from qa.features.loader import batch_loader
from qa.features.order import evaluation_batches
from qa.features.windows import build_features
from tests.support import tiny
from tests.support.windows import config

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
CPU = torch.device("cpu")


def test_the_loader_gives_the_batches_in_their_order():
    examples = tiny.sample("validation")
    features = build_features(examples, tiny.tokenizer(), config())
    labels = build_labels(examples, features)
    batches = evaluation_batches(features.lengths, 16, "cpu")
    loaded = list(batch_loader(features, batches, input_names=INPUTS, device=CPU, labels=labels))
    assert [batch.feature.tolist() for batch in loaded] == [batch.tolist() for batch in batches]
    alone = collate(features, batches[3], input_names=INPUTS, pad_multiple=PAD_MULTIPLE, labels=labels)
    assert torch.equal(loaded[3].inputs["input_ids"], alone.inputs["input_ids"])
    assert torch.equal(loaded[3].label_last, alone.label_last)
    assert loaded[3].tokens == alone.tokens


def test_the_loader_leaves_the_generator_that_dropout_depends_on_alone():
    features = build_features(tiny.small(), tiny.tokenizer(), config())
    before = torch.get_rng_state()
    list(batch_loader(features, [np.arange(6)], input_names=INPUTS, device=CPU))
    assert torch.equal(torch.get_rng_state(), before)
