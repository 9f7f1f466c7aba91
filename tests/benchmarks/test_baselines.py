"""The classic recipe of the benchmarks gives the same features, losses, logits, answers and scores as ours."""

import datasets
import numpy as np
import pytest
import torch

from qa import metrics
from qa.config import DecodingConfig, FeaturesConfig, RunConfig
from qa.data import load_validation_examples
from qa.decoding.spans import find_spans
from qa.features.collation import collate
from qa.features.joining import PAD_MULTIPLE
from qa.features.labels import build_labels
from qa.features.windows import build_features
from qa.modeling.loss import span_loss
from tests.benchmarks import baselines, contestants, memory
from tests.support import tiny

torch.set_num_threads(1)  # so small tensors are slower on several, the more when other programs run
SIZES = {"max_length": 96, "doc_stride": 24}
INPUTS = ("input_ids", "token_type_ids", "attention_mask")
PARITY = DecodingConfig(search="hf_parity")
ROWS = load_validation_examples(RunConfig()).rows
FIRST = ROWS.map(lambda row: {"answers": {name: values[:1] for name, values in row["answers"].items()}})
"""With the first reference alone, which is all that the recipe learns from."""
COLUMNS = contestants.columns(ROWS)
SETUP = contestants.Setup(rows=40, steps=1)
SIDES = memory.ours_memory, memory.theirs_memory


@pytest.fixture(scope="module")
def ours():
    return build_features(ROWS, tiny.tokenizer(), FeaturesConfig(**SIZES))


@pytest.fixture(scope="module")
def theirs():
    return baselines.features(COLUMNS, tiny.tokenizer(), **SIZES)


@pytest.fixture(scope="module")
def model():
    return tiny.model(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)


def our_batch(ours, indices):
    labels = build_labels(FIRST, ours)
    return collate(ours, np.array(indices), input_names=INPUTS, pad_multiple=PAD_MULTIPLE, labels=labels)


def their_batch(theirs, indices):
    windows = [theirs[at] for at in indices]
    return next(iter(baselines.loader(windows, tiny.tokenizer(), batch_size=9, shuffle=False, labels=True)))


def test_inputs_and_labels_are_the_same(ours, theirs):
    assert len(ours) == len(theirs) > len(ROWS)
    batch = our_batch(ours, range(len(ours)))
    labels = zip(batch.label_first[:, 0].tolist(), batch.label_last[:, 0].tolist(), strict=True)
    assert list(labels) == [(window["start_positions"], window["end_positions"]) for window in theirs]
    for at, window in enumerate(theirs):
        ids, types, _ = ours.row(at)
        assert ids.tolist() == window["input_ids"]
        assert types.tolist() == window["token_type_ids"]


def test_padding_to_the_window_changes_lengths_only():
    few = {name: column[:3] for name, column in COLUMNS.items()}
    padded = baselines.features(few, tiny.tokenizer(), **SIZES, pad=True)
    assert {len(window["input_ids"]) for window in padded} == {SIZES["max_length"]}
    for window, plain in zip(padded, baselines.features(few, tiny.tokenizer(), **SIZES), strict=True):
        assert [token for token, real in zip(window["input_ids"], window["attention_mask"], strict=True) if real] == (
            plain["input_ids"]
        )


def test_losses_are_the_same(ours, theirs, model):
    indices = [5, 0, 17, 3]
    batch = our_batch(ours, indices)
    output = model.train()(**batch.inputs)
    loss = span_loss(output.start_logits, output.end_logits, batch) / len(batch)
    theirs_loss = model(**their_batch(theirs, indices)).loss
    # The recipe's softmax runs over padding too, which the model gives logits like any other.
    assert loss.item() == pytest.approx(theirs_loss.item(), abs=0.15)
    alone = our_batch(ours, [5])
    short = model(**alone.inputs)
    exact = span_loss(short.start_logits, short.end_logits, alone)
    assert exact.item() == pytest.approx(model(**their_batch(theirs, [5])).loss.item(), rel=1e-5)


def test_a_step_of_the_recipe_lowers_its_loss(theirs):
    model = tiny.model(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    optimizer = baselines.optimizer_for(model, 1e-2)
    scheduler = baselines.linear_schedule(optimizer, warmup=0, total=100)
    losses = [
        baselines.train_step(model, optimizer, scheduler, their_batch(theirs, [0, 1, 2]), max_norm=1.0)
        for _ in range(4)
    ]
    assert losses == sorted(losses, reverse=True)


def test_logits_are_the_same(ours, theirs, model):
    starts, ends = baselines.logits_of(model, theirs[:20], tiny.tokenizer(), batch_size=8)
    batch = our_batch(ours, range(20))
    with torch.inference_mode():
        output = model.eval()(**batch.inputs)
    real = batch.inputs["attention_mask"].numpy() == 1
    for plain, found in ((starts, output.start_logits), (ends, output.end_logits)):
        width = min(plain.shape[1], found.shape[1])
        np.testing.assert_allclose(
            plain[:, :width][real[:, :width]], found.numpy()[:, :width][real[:, :width]], atol=1e-5
        )


def test_answers_are_the_same(ours, theirs):
    starts, ends = contestants.peaked_logits(ours.lengths)
    batches, logits = contestants.played_back(ours, starts, ends, PARITY)
    predictions = contestants.our_answers(ours, batches, logits, ROWS, PARITY)
    features = datasets.Dataset.from_list(theirs)  # as the recipe has them
    texts, odds, records = baselines.answers(ROWS, features, starts.astype(np.float64), ends.astype(np.float64))
    found = np.diff(predictions.bounds) > 0
    assert predictions.best_texts == texts
    np.testing.assert_allclose(predictions.null_odds[found], np.array(odds)[found], rtol=1e-5)
    n_best = predictions.n_best()
    for key, plain in zip(ROWS["id"], records, strict=True):
        shares = [record["probability"] for record in n_best[key]][: len(plain)]  # a best span below the n-best is kept
        np.testing.assert_allclose(shares, [record["probability"] for record in plain], atol=1e-6)
        spans = [record["text"] for record in n_best[key] if record["start"] is not None]
        wanted = [record["text"] for record in plain if record["end"] > 0]
        assert spans[: len(wanted)] == wanted


def test_scores_are_the_same():
    ids, texts, references, some, odds = contestants.guesses(SETUP)
    by_id = [dict(zip(ids, values, strict=True)) for values in (texts, references, some, odds)]
    assert metrics.score(by_id[0], by_id[1]) == baselines.v1_scores(texts, references)
    ours, plain = metrics.score(by_id[0], by_id[2], null_odds=by_id[3]), baselines.v2_scores(texts, some, odds)
    assert {name: ours[name] for name in plain} == plain


def test_what_evaluation_keeps_does_not_grow_with_the_window(ours):
    kept = []
    for window in (384, 1536):
        batch = collate(ours, np.arange(9), input_names=INPUTS, pad_multiple=window)
        assert batch.shape == (9, window)
        model = contestants.Playback(memory.random_logits(batch.shape))
        spans = find_spans(model, [batch], DecodingConfig(), features=9)
        kept.append(sum(column.nbytes for column in vars(spans).values()))
    assert kept[0] == kept[1] < 9 * 384 * 2 * 4 / 8


def test_memory_is_measured_on_both_sides(monkeypatch):
    """By the system, which an allocator's gaps are part of: what is asserted leaves room for them."""
    monkeypatch.setattr(memory, "_BATCHES", 200)
    setup = contestants.Setup(window=1536)
    ours, theirs = ([next(run) for run in [side(setup)] for _ in range(2)][1] for side in SIDES)
    assert 0 < ours < theirs / 2
    assert theirs > 1536 * 2 * 4
