"""Features that share a row have the logits, the loss and the gradient that they have alone, or are refused."""

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from qa.config import DecodingConfig, FeaturesConfig, RecipeConfig, RunConfig, TrainingConfig
from qa.decoding.spans import find_spans
from qa.errors import ConfigError, ModelError
from qa.features.collation import collate
from qa.features.joining import by_feature
from qa.features.labels import build_labels
from qa.features.packing import Packing
from qa.features.windows import features_of_table
from qa.modeling.loss import choose_loss
from qa.modeling.reader import load_reader, load_reader_for
from tests.support import tiny, zoo
from tests.support.windows import config

MAX_LENGTH = 80
WINDOWS = config(MAX_LENGTH, 16, 16)
PACKING = Packing(length=112)
SEEN, FAILS = "has other logits for features that share a row", "wanted no training.packed-length: with a mask of pairs"
REFUSED = {
    **dict.fromkeys(("bart", "mbart", "mvp", "mt5", "t5", "umt5"), SEEN),  # with decoders
    **dict.fromkeys(("convbert", "nystromformer", "qwen3_next", "splinter"), SEEN),
    "mobilebert": SEEN,  # its embeddings see the tokens beside
    **dict.fromkeys(("big_bird", "bigbird_pegasus", "bloom", "deberta", "deberta-v2", "flaubert", "funnel"), FAILS),
    **dict.fromkeys(("led", "longformer", "ultrabert", "xlm", "xlnet", "yoso"), FAILS),
}
"""What messages say about the types that cannot; all others can."""
TAKEN = [kind for kind in zoo.TYPES if kind not in {*zoo.REFUSED, *REFUSED}]
SOME = ("albert", "bert", "distilbert", "electra", "gpt2", "modernbert", "mpnet", "roberta", "rembert", "xlm-roberta")
"""The others take longer together than a test should."""


def reader_of(folder, kind, **settings):
    return load_reader(str(zoo.save(folder, kind, **settings)), max_length=MAX_LENGTH)


def features_of(reader):
    """Windows of all lengths up to the longest."""
    answers = {
        "The number is 7.": "7",
        "It is in Oslo.": "Oslo",
        "many words " * 60: "many",
        "Yes": "Yes",
        "a b " * 4: "b",
    }
    rows = tiny.examples(*(tiny.example("Which number?", context, answer) for context, answer in answers.items()))
    features = features_of_table(rows.with_format("arrow")[:], reader.encoder, WINDOWS)
    return features, build_labels(rows, features)


def batch_of(reader, packing=None):
    features, labels = features_of(reader)
    every = np.arange(len(features))
    return collate(features, every, input_names=reader.input_names, pad_multiple=8, labels=labels, packing=packing)


def logits_of(reader, batch):
    output = reader.model(**batch.inputs)
    return tuple(by_feature(values, batch) for values in (output.start_logits, output.end_logits))


@pytest.mark.parametrize(
    "kind", [kind if kind in SOME else pytest.param(kind, marks=pytest.mark.slow) for kind in TAKEN]
)
def test_features_of_a_row_have_the_logits_and_the_gradient_that_they_have_alone(kind, tmp_path):
    reader = reader_of(tmp_path, kind)
    loss, found = choose_loss(RecipeConfig()), []
    for packing in (None, PACKING):
        if packing is not None:
            reader.accept_packed(packing, max_length=MAX_LENGTH)
        batch = batch_of(reader, packing)
        logits = logits_of(reader, batch)
        reader.model.zero_grad()
        loss(*logits, batch).backward()
        gradient = {name: one.grad for name, one in reader.model.named_parameters() if one.grad is not None}
        found.append(([values[~batch.padding] for values in logits], gradient))
    (padded, wanted), (packed, gradient) = found
    torch.testing.assert_close(packed, padded, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(gradient, wanted, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("kind", REFUSED)
def test_a_model_whose_features_would_see_each_other_is_refused_in_a_line(kind, tmp_path):
    reader = reader_of(tmp_path, kind)
    before = logits_of(reader, batch_of(reader))
    with pytest.raises(ModelError, match=REFUSED[kind]) as refused:
        reader.accept_packed(PACKING, max_length=MAX_LENGTH)
    assert "\n" not in str(refused.value)
    torch.testing.assert_close(logits_of(reader, batch_of(reader)), before)  # nothing of the attempt is left


def test_layers_that_see_a_stretch_of_a_feature_see_the_same_stretch_in_a_row(tmp_path):
    """ModernBERT's, whose stretch is shorter than the longest window here; it ends where the feature does."""
    layers = {"num_hidden_layers": 3, "layer_types": ["full_attention", "sliding_attention", "sliding_attention"]}
    reader = reader_of(tmp_path, "modernbert", **layers, local_attention=12)
    whole = logits_of(reader, batch_of(reader))[0]
    reader.accept_packed(PACKING, max_length=MAX_LENGTH)
    batch = batch_of(reader, PACKING)
    torch.testing.assert_close(logits_of(reader, batch)[0][~batch.padding], whole[~batch.padding], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["bert", "roberta", "modernbert", "qwen3"])
def test_rows_may_be_longer_than_a_model_has_positions_and_hold_nothing_but_padding(kind, tmp_path):
    reader, packing = reader_of(tmp_path, kind), Packing(length=512, row_multiple=2)
    wanted = logits_of(reader, batch_of(reader))[0]
    reader.accept_packed(packing, max_length=MAX_LENGTH)
    batch = batch_of(reader, packing)
    assert batch.shape == (2, 512)
    assert (batch.inputs["attention_mask"][1] == 0).all()
    output = reader.model(**batch.inputs)
    (output.start_logits.sum() + output.end_logits.sum()).backward()  # of padding too, which must not be NaN
    assert all(one.grad is None or one.grad.isfinite().all() for one in reader.model.parameters())
    torch.testing.assert_close(
        logits_of(reader, batch)[0][~batch.padding], wanted[~batch.padding], atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize(
    ("head", "recipe"),
    [
        ("spans", RecipeConfig()),
        ("spans", RecipeConfig(objective="joint")),
        ("spans", RecipeConfig(label_smoothing=0.1)),
        ("conditional", RecipeConfig()),
        ("tokens", RecipeConfig()),
    ],
)
def test_every_head_and_loss_is_the_same_of_packed_features(head, recipe, tmp_path):
    reader = reader_of(tmp_path, "bert")
    reader.prepare_head(head)
    rows = tiny.small(6)
    features = features_of_table(rows.with_format("arrow")[:], reader.encoder, WINDOWS)
    labels = build_labels(rows, features, every=head == "tokens", tagged=head == "tokens")
    loss, found = choose_loss(recipe, head), []
    for packing in (None, PACKING):
        if packing is not None:
            reader.accept_packed(packing, max_length=MAX_LENGTH)
        names, every = reader.input_names, np.arange(len(features))
        batch = collate(features, every, input_names=names, pad_multiple=8, labels=labels, packing=packing)
        found.append(loss(*logits_of(reader, batch), batch).item())
    assert found[1] == pytest.approx(found[0], rel=1e-5)


def test_the_spans_of_packed_features_are_those_of_padded_ones(tmp_path):
    reader = reader_of(tmp_path, "bert")
    features, _ = features_of(reader)
    padded = find_spans(reader.model, [batch_of(reader)], DecodingConfig(n_best=4), features=len(features))
    reader.accept_packed(PACKING, max_length=MAX_LENGTH)
    packed = find_spans(reader.model, [batch_of(reader, PACKING)], DecodingConfig(n_best=4), features=len(features))
    for name, wanted in vars(padded).items():
        np.testing.assert_allclose(getattr(packed, name), wanted, atol=1e-5)


def test_rows_of_one_feature_and_copies_of_the_model_are_taken_too(tmp_path):
    reader = reader_of(tmp_path, "roberta")
    wanted = logits_of(reader, batch_of(reader))[0]
    reader.accept_packed(PACKING, max_length=MAX_LENGTH)
    batch = batch_of(reader)
    for model in (reader.model, copy.deepcopy(reader.model), pickle.loads(pickle.dumps(reader.model))):
        found = model(**batch.inputs).start_logits
        torch.testing.assert_close(found[~batch.padding], wanted[~batch.padding], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_a_run_packs_with_attention_that_takes_masks_of_pairs(attention, tmp_path):
    training = TrainingConfig(packed_length=112, attention=attention)
    features = FeaturesConfig(max_length=MAX_LENGTH)
    tiny.save_reader(tmp_path)
    reader = load_reader_for(RunConfig(model=str(tmp_path), training=training, features=features))
    batch = batch_of(reader, PACKING)
    alone = logits_of(load_reader(str(tmp_path), max_length=MAX_LENGTH), batch_of(reader))[0]
    torch.testing.assert_close(logits_of(reader, batch)[0][~batch.padding], alone[~batch.padding], atol=1e-5, rtol=1e-4)


def test_other_attention_is_refused_by_name(tmp_path):
    training = TrainingConfig(packed_length=112, attention="flex_attention")
    tiny.save_reader(tmp_path)
    with pytest.raises(ModelError, match=r"training.packed-length needs attention by sdpa or eager; found flex"):
        load_reader_for(RunConfig(model=str(tmp_path), training=training, features=FeaturesConfig(max_length=80)))


def test_as_many_types_are_taken_as_the_readme_says():
    said = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert f"({len(TAKEN)} of the {len(zoo.TYPES) - len(zoo.REFUSED)} model types" in " ".join(said.split())


def test_rows_shorter_than_a_window_are_refused():
    with pytest.raises(ConfigError, match=r"packed-length is 383; wanted at least 384, a window"):
        RunConfig(training=TrainingConfig(packed_length=383))
