"""Teachers' probabilities of a feature's tokens, against a loop over logits."""

import math
from dataclasses import replace

import numpy as np
import pytest

from qa.features.alignment import tokens_at_borders, windows_of_the_same_characters
from qa.features.collation import collate
from qa.features.labels import build_labels
from qa.features.sampling import fewer_unlabelled, short_windows
from qa.features.soft_labels import SoftLabels, TeacherLogits
from qa.features.windows import NO_TOKEN, build_features
from tests.support import tiny
from tests.support.windows import config

INPUTS = ("input_ids", "attention_mask")


def teacher_of(features, others, seed):
    """Logits drawn at random of windows of other tokens."""
    windows, random = windows_of_the_same_characters(features, others), np.random.default_rng(seed)
    start_at, end_at = tokens_at_borders(features, others)
    bounds = np.concatenate([[0], np.cumsum(windows.size, dtype=np.int64)])
    draw = lambda count: random.normal(scale=3, size=count).astype(np.float32)  # noqa: E731
    return TeacherLogits(
        start=draw(bounds[-1]),
        end=draw(bounds[-1]),
        null_start=draw(len(features)),
        null_end=draw(len(features)),
        bounds=bounds,
        origin=windows.context_ids.bounds[windows.context_of[windows.example]] + windows.first,
        start_at=start_at,
        end_at=end_at,
    )


@pytest.fixture(scope="module")
def learned():
    """Features, labels and two teachers with other tokenizers."""
    rows = tiny.sample("validation")
    sizes = config(96, 24, 32)
    features = build_features(rows, tiny.tokenizer(), sizes)
    teachers = [
        teacher_of(features, build_features(rows, tiny.tokenizer(family), sizes), seed)
        for seed, family in enumerate(("roberta", "deberta-v2"))
    ]
    soft = SoftLabels(teachers=teachers, rows=np.arange(len(features)), temperature=1.7, fingerprint="two")
    return features, build_labels(rows, features), soft


def plain(teacher, features, at, row, side, temperature):
    """Probabilities by context token, and of the null position."""
    begin, end = teacher.bounds[row : row + 2]
    values, token_at = (teacher.start, teacher.start_at) if side == 0 else (teacher.end, teacher.end_at)
    null = (teacher.null_start, teacher.null_end)[side][row]
    first, size = int(features.first[at]), int(features.size[at])
    kept = []
    for nth in range(end - begin):
        token = int(token_at[teacher.origin[row] + nth])
        if token != NO_TOKEN and first <= token < first + size:
            kept.append((token - first, math.exp(float(values[begin + nth]) / temperature)))
    whole = sum(power for _, power in kept) + math.exp(float(null) / temperature)
    found = [0.0] * size
    for token, power in kept:
        found[token] += power / whole
    return found, math.exp(float(null) / temperature) / whole


def assert_as_the_loop(features, labels, indices):
    soft = labels.soft
    batch = collate(features, indices, input_names=INPUTS, pad_multiple=8, labels=labels)
    for nth, at in enumerate(indices):
        for side, found in enumerate((batch.teacher_start[nth], batch.teacher_end[nth])):
            said = [plain(one, features, at, soft.rows[at], side, soft.temperature) for one in soft.teachers]
            wanted = np.zeros(batch.shape[1])
            begin = int(batch.context_begin[nth])
            wanted[begin : begin + int(features.size[at])] = np.mean([tokens for tokens, _ in said], axis=0)
            wanted[int(batch.null_position[nth])] = np.mean([null for _, null in said])
            np.testing.assert_allclose(found.numpy(), wanted, atol=1e-6)
            assert float(found.sum()) == pytest.approx(1.0, abs=1e-5)


def with_soft(labels, soft):
    return replace(labels, soft=soft)


def test_probabilities_are_the_mean_of_the_teachers(learned):
    features, labels, soft = learned
    assert_as_the_loop(features, with_soft(labels, soft), np.arange(0, len(features), 5))


def test_of_a_window_that_is_cut_short_they_are_those_of_what_is_left(learned):
    features, labels, soft = learned
    short, cut = short_windows(features, with_soft(labels, soft), max_length=60, seed=0, epoch=0)
    assert (short.size < features.size).any()
    assert_as_the_loop(short, cut, np.arange(0, len(features), 9))


def test_features_that_are_left_out_take_theirs_with_them(learned):
    features, labels, soft = learned
    fewer, kept = fewer_unlabelled(features, with_soft(labels, soft), share=0.0, seed=0)
    assert len(fewer) < len(features)
    assert kept.soft.rows.tolist() != list(range(len(fewer)))
    assert_as_the_loop(fewer, kept, np.arange(0, len(fewer), 7))


def test_without_teachers_batches_have_none(learned):
    features, labels, _ = learned
    batch = collate(features, np.arange(3), input_names=INPUTS, pad_multiple=8, labels=labels)
    assert batch.teacher_start is None
    assert batch.teacher_end is None
