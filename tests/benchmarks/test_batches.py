"""What competes in making batches makes the same batches, of every feature once."""

import numpy as np
import pytest
import torch

from tests.benchmarks import baselines, batches, contestants

SETUP = contestants.Setup(rows=40)


def test_every_feature_is_drawn_once():
    drawn = batches.drawn(100)
    assert [len(some) for some in drawn] == [32, 32, 32, 4]
    assert sorted(np.concatenate(drawn)) == list(range(100))


def test_both_sides_make_the_same_inputs_of_the_same_rows():
    make_batch, count = batches.maker(SETUP)
    ours = make_batch(np.arange(count))
    tokenizer = contestants.minilm().tokenizer
    windows = baselines.features(contestants.columns(contestants.training_rows(SETUP)), tokenizer)
    (theirs,) = baselines.loader(windows, tokenizer, batch_size=count, shuffle=False, labels=True)
    width = theirs["input_ids"].shape[1]
    for name, values in ours.inputs.items():
        assert torch.equal(values[:, :width], theirs[name])


@pytest.mark.parametrize("ahead", [True, False])
def test_batches_for_a_device_are_all_features(ahead):
    _, count = batches.maker(SETUP)
    assert next(batches.stepped(SETUP, ahead=ahead)) == count


def test_a_part_of_the_rows_is_built():
    assert [next(contestants.ours_features(SETUP, part=part)) for part in (1, 10)] == [40, 4]


@pytest.mark.slow
def test_a_folder_is_predicted_for_which_a_head_was_drawn():
    setup = contestants.Setup(rows=40, predicted=4)
    assert next(batches.predicted(setup, processes=1)) == 4
